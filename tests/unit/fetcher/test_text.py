"""Small readers of hostile text: cleaning, refresh headers, headers' bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.clean import clean, fold, from_header
from fetcher.refresh import Refresh, parse_refresh


@given(st.text(alphabet=st.characters(), max_size=100), st.integers(1, 50))
def test_cleaned_text_fits_and_encodes(text: str, limit: int) -> None:
    """Surrogates and control characters are gone, and the cap holds."""
    for result in (clean(text, limit), fold(text, limit)):
        assert len(result) <= limit
        result.encode()
        assert result.isprintable() or not any(char < " " for char in result)
    assert clean(text, limit) == clean(clean(text, limit), limit)


def test_cleaning_keeps_what_is_harmless() -> None:
    """Other scripts and emoji pass; line breaks become spaces."""
    assert clean("Gr\u00fc\u00dfe \U0001f600\r\nx\x00") == "Gr\u00fc\u00dfe \U0001f600  x "
    assert clean("\ud800x") == "\ufffdx"
    assert fold("  a \n\t b ") == "a b"


def test_headers_are_utf8_or_latin1() -> None:
    """As browsers read them."""
    assert from_header("/\u00fc".encode()) == "/\u00fc"
    assert from_header(b"/\xfc") == "/\u00fc"


@pytest.mark.parametrize(
    ("content", "refresh"),
    [
        ("0; url=/next", Refresh(0.0, "/next")),
        ("5;URL='/a b'", Refresh(5.0, "/a b")),
        ('  3 , URL = "x" trailing', Refresh(3.0, "x")),
        ("1.5; /bare", Refresh(1.0, "/bare")),
        (".5;x", Refresh(0.0, "x")),
        ("7", Refresh(7.0, "")),
        ("7;", Refresh(7.0, "")),
        ("9999999999999;x", Refresh(1e9, "x")),
        ("0 url=/spaced", Refresh(0.0, "/spaced")),
        ("", None),
        ("url=/x", None),
        ("-1;url=/x", None),
    ],
)
def test_refreshes_are_read_as_browsers_do(content: str, refresh: Refresh | None) -> None:
    """Seconds are whole; the URL may be quoted, named or bare."""
    assert parse_refresh(content) == refresh


@given(st.text(max_size=100))
def test_any_text_is_a_refresh_or_none(text: str) -> None:
    """Nothing raises, and delays fit the report."""
    refresh = parse_refresh(text)
    assert refresh is None or 0 <= refresh.delay_s <= 1e9
