"""All Content-Type headers are read together, as the Fetch Standard specifies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.content.media_type import extract_media_type, reportable_type


@pytest.mark.parametrize(
    ("headers", "essence", "charset"),
    [
        ((), "", ""),
        (("text/HTML; charset=x",), "text/html", "x"),
        ((" application/xhtml+xml ",), "application/xhtml+xml", ""),
        (("nonsense",), "", ""),
        (("text/plain", "text/html"), "text/html", ""),
        (("text/plain, text/html;charset=a",), "text/html", "a"),
        (("text/html;charset=a, text/html",), "text/html", "a"),
        (("text/html;charset=a, text/html;x=y",), "text/html", "a"),
        (("text/html;charset=a", "text/plain", "text/html"), "text/html", ""),
        (("text/html", "*/*", "x", "a b/c"), "text/html", ""),
        (('text/html;x="a, text/plain";charset="u\\t"',), "text/html", "ut"),
        (('text/html;x="open, text/plain',), "text/html", ""),
        (("text/html;charset=a;charset=b",), "text/html", "a"),
        (('text/html;x="a\\"b, text/plain\\',), "text/html", ""),
        (('text/html;charset="a\\',), "text/html", "a\\"),
        (("text/html x",), "", ""),
        (("a/" + "b" * 5000,), "", ""),
    ],
)
def test_the_last_valid_type_counts(headers: tuple[str, ...], essence: str, charset: str) -> None:
    """Parameters are removed, and a repeated type keeps its character set."""
    assert extract_media_type(headers) == (essence, charset)


@pytest.mark.parametrize("part", ['a\\"', '"\\', ";a", '";', ",", ' ;a="', "a/b;"])
def test_many_long_headers_are_read_in_linear_time(part: str) -> None:
    """The time for the longest headers is not quadratic; it was minutes once."""
    assert len(extract_media_type([part * 2731 for _ in range(64)]).essence) <= 255


@given(st.lists(st.text(alphabet='text/html;=charset", *\\é\x00') | st.text(), max_size=5))
def test_any_headers_are_read(headers: list[str]) -> None:
    """Any result is valid in the report."""
    found = extract_media_type(headers)
    assert len(found.essence) <= 255
    assert reportable_type(found.essence) in {"", found.essence}
