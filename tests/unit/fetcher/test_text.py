"""Small readers of hostile text: cleaning, refresh headers, headers' bytes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.content.refresh import Refresh, parse_refresh
from fetcher.http.redirects import refusal
from fetcher.sanitize import address, clean, fold, from_header, opened, token, visible, word
from safeurl.model.report import EvidenceLine, Hop, encode_line
from safeurl.model.report_reader import ReportReader


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


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=700))
def test_whatever_a_refused_url_is_its_refusal_is_taken(reason: str, location: str) -> None:
    """An honest page with a broken link in it does not become a malformed report."""
    for url in (location, f"//{location}/", f"http://{location}:8080/x"):
        line = EvidenceLine(refusal=refusal(reason, url))
        assert msgspec.json.decode(encode_line(line), type=EvidenceLine) == line


@pytest.mark.parametrize(
    ("location", "host", "port"),
    [
        ("//inner.example\\@open.example/", "inner.example", 80),
        ("https://open.example\t@127.0.0.2/", "127.0.0.2", 443),
        ("http://127.1:8080", "127.0.0.1", 8080),
        ("//[::1]:99/", "::1", 99),
        ("/x", "page.example", 80),
        ("javascript:alert(1)", "", 0),
        ("http://open.example:99999/", "", 0),
        ("http://a b.example/", "a b.example", 0),
    ],
)
def test_a_refusal_names_the_host_that_a_browser_would_open(
    location: str, host: str, port: int
) -> None:
    """Other parsers see another one in some of these."""
    found = refusal("private", location, "http://page.example/")
    assert (found.host, found.port) == (visible(host), port)


@given(st.text(st.characters(), max_size=60) | st.ip_addresses().map(str) | st.just("fe80::1%eth0"))
def test_whatever_a_resolver_says_is_taken(text: str) -> None:
    """What is no address is left out; what is one is spelt so that the worker takes it."""
    shown = address(text)
    hop = Hop(
        url=opened(text),
        via=word(text),
        headers=((token(text) or "x", clean(text)),),
        address=shown or None,
    )
    reader = ReportReader("s", 1)
    assert reader.feed(encode_line(EvidenceLine(hop=hop))), reader.fault_detail


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("a!b.example", "a!b.example"),
        ("127\u30020.0.1", r"127\u30020.0.1"),
        ("a b\x1b[2J", r"a\x20b\x1b[2J"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_refused_host_is_shown_in_visible_ascii(host: str, shown: str) -> None:
    """Nothing of it is lost, and nothing of it moves a cursor."""
    assert visible(host) == shown
    assert len(visible(host * 600)) == 512


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
        ("0;;/x", Refresh(0.0, ";/x")),
        ("0;\u00a0/x\u2003", Refresh(0.0, "\u00a0/x\u2003")),
        ("0;'a'b'", Refresh(0.0, "a")),
        ("0;ur='a'", Refresh(0.0, "ur='a'")),
        ("1.2.3", Refresh(1.0, "")),
        ("000000000000005,x", Refresh(5.0, "x")),
        (".", Refresh(0.0, "")),
        ("", None),
        ("5foo", None),
        ("5foo;url=/x", None),
        ("\u00a05;x", None),
        ("\u0665;x", None),
        ("\x0b5;x", None),
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
