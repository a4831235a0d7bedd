"""The content of `noscript` is not read, because browsers with scripts do not show it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.page.noscript import without_noscript
from fetcher.page.read import read_page
from fetcher.subprocess_task import run_in_subprocess

_URL = "http://site.test/"
_NO = "<noscript></noscript>"
_PARTS = (
    *("<noscript>", "</noscript>", "<!--", "-->", "<script>", "</script>", "<p a='", "'>", '"'),
    *("<title>", "</title>", "<plaintext>", "<", ">", "</", "x", " ", "=", "--!>"),
    *("<svg>", "</svg>", "<desc>", "</desc>", "<![CDATA[", "]]>", "<!", "<style>", "</style>"),
)
#: Documents without an HTML `noscript` for browsers, so that everything after it is content.
_NO_NOSCRIPT = (
    "<!x <noscript>b",
    "<?x <noscript>b",
    "</ <noscript>b",
    "</><noscripts>b",
    "<!doctype html <noscript>b",
    "<![CDATA[ <noscript>b",
    "<noscript\x0b>b",
    "<noscript\0>b",
    "<script><!--<script></script><noscript>--></script>b",
    "<script><!--<script></script></script ><!--<noscript>-->b",
    "<svg><noscript>b",
    "<math><noscript></noscript></math>b",
    "<svg><style><!--</style><noscript>--></style></svg>b",
    "<svg><![CDATA[ > </svg><noscript> ]]></svg>b",
)
#: Pages for which only a full parser knows what is inside of `noscript`.
_DOUBTFUL = (
    "<svg><title><noscript></title></svg>b</noscript>",
    "<svg><p><style></svg><noscript></style>b</noscript>",
    "<div><svg></div><style></svg><noscript></style>b</noscript>",
    "<svg><foreignObject><textarea></foreignObject></svg><noscript></textarea>b</noscript>",
    "<svg><desc><noscript>b</noscript></desc></svg>",
    "<svg></p><noscript>b</noscript>",
    "<select><svg></select><noscript>b</noscript>",
    f"{'<svg>' * 200}<noscript>b</noscript>",
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a<noscript>b</noscript>c", f"a{_NO}c"),
        ("<NoScript a='>'>b</NOSCRIPT >c", "<NoScript a='>'></NOSCRIPT >c"),
        ("<noscript><!--</noscript>c-->", f"{_NO}c-->"),
        ("<noscript>b</noscripts></noscript/>c", "<noscript></noscript/>c"),
        ("<noscript>b", "<noscript>"),
        ("<noscript>b</noscript>c<noscript>d</noscript>e", f"{_NO}c{_NO}e"),
        ("<!-- <noscript> -->b", "<!-- <noscript> -->b"),
        ("<!--><noscript>b</noscript>", f"<!-->{_NO}"),
        ("<!-- --!><noscript>b</noscript>", f"<!-- --!>{_NO}"),
        ("<script>'<noscript>'</script>b", "<script>'<noscript>'</script>b"),
        ("<title><noscript></title>b", "<title><noscript></title>b"),
        ("<p a=\"<noscript>\" b='<noscript>' c=d>e", "<p a=\"<noscript>\" b='<noscript>' c=d>e"),
        ('<p a="><noscript>b', '<p a="><noscript>b'),
        ("<plaintext><noscript>b", "<plaintext><noscript>b"),
        ("</noscript>b<noscripts>c", "</noscript>b<noscripts>c"),
        *((text, text) for text in _NO_NOSCRIPT),
        ("<script><!--</script><noscript>b</noscript>", f"<script><!--</script>{_NO}"),
        ("<script><!--><script></script><noscript>b", "<script><!--><script></script><noscript>"),
        (
            "<svg><g a='/'><path d=/ /></g></svg><noscript>b",
            "<svg><g a='/'><path d=/ /></g></svg><noscript>",
        ),
        ("<svg/><noscript>b</noscript>", f"<svg/>{_NO}"),
        (
            "<svg><title>a</title><style>b</style></svg><noscript>c",
            "<svg><title>a</title><style>b</style></svg><noscript>",
        ),
    ],
)
def test_only_the_noscript_elements_of_a_parser_are_emptied(text: str, left: str) -> None:
    """Comments, scripts, titles and attribute values may contain the name of the tag."""
    assert without_noscript(text) == (left, True)


@pytest.mark.parametrize("text", _DOUBTFUL)
def test_uncertain_noscript_makes_the_page_partial(text: str) -> None:
    """A page with an uncertain `noscript` is partial, so its verdict is not benign."""
    assert not without_noscript(text)[1]
    assert "noscript" in read_page(text.encode(), "utf-8", _URL, 10).page.partial
    assert without_noscript(text.replace("noscript", "b"))[1]


@pytest.mark.parametrize("text", _NO_NOSCRIPT)
def test_a_form_after_text_that_is_not_noscript_is_read(text: str) -> None:
    """A page cannot hide content from the fetcher that people see."""
    page = read_page(
        f"{text}<p><form><input type=password></form>".encode(), "utf-8", _URL, 10
    ).page
    assert page.forms[0].has_password


@pytest.mark.parametrize("padding", ["", "<p>" * 6000], ids=["parser", "fallback"])
def test_forms_title_and_refresh_in_noscript_are_not_read(padding: str) -> None:
    """Neither the parser nor the fallback reads the content of `noscript`."""
    inside = "<title>no</title><meta http-equiv=refresh content='0;/x'><form action=/x><input>"
    text = f"<noscript>{inside}</form></noscript><title>yes</title>{'<div>' * len(padding)}"
    page = read_page(text.encode(), "utf-8", _URL, 10).page
    assert (page.title, page.forms, page.meta_refresh) == ("yes", (), None)
    assert bool(padding) == page.partial.startswith("Elements are nested")


@given(st.lists(st.sampled_from(_PARTS), max_size=30).map("".join))
def test_any_text_loses_only_the_content_of_noscript(text: str) -> None:
    """The result is a part of the text, and a second pass changes nothing."""
    left, _ = without_noscript(text)
    rest = iter(text)
    assert all(char in rest for char in left)
    assert without_noscript(left)[0] == left


@pytest.mark.parametrize(
    "part",
    ["<noscript>", "<noscript>x</noscript>", "<!--", '<p a="', "<p ", "<", "</noscript", "<p a="],
)
def test_it_takes_linear_time(part: str) -> None:
    """Two megabytes of any markup are processed in time."""
    text = "<noscript>x</noscript>" + part * (2_000_000 // len(part))
    assert run_in_subprocess(lambda: msgspec.json.encode(len(without_noscript(text)[0])), 20)
