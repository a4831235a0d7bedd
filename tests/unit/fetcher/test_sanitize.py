"""Sanitizing hostile text, refresh headers, and the evidence of refused URLs."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.content.refresh import Refresh, parse_refresh
from fetcher.http.redirects import url_refusal
from fetcher.sanitize import (
    decode_header,
    header_name,
    http_url,
    identifier,
    ip_literal,
    sanitize,
    sanitize_line,
    visible_ascii,
)
from safeurl.model.report import EvidenceLine, Hop, encode_line
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult


@given(st.text(alphabet=st.characters(), max_size=100), st.integers(1, 50))
def test_sanitized_text_fits_and_encodes(text: str, limit: int) -> None:
    """The result has no surrogates and no control characters and respects the limit."""
    for result in (sanitize(text, limit), sanitize_line(text, limit)):
        assert len(result) <= limit
        result.encode()
        assert result.isprintable() or not any(char < " " for char in result)
    assert sanitize(text, limit) == sanitize(sanitize(text, limit), limit)


def test_harmless_text_is_kept() -> None:
    """Other scripts and emoji remain; line breaks become spaces."""
    assert sanitize("Gr\u00fc\u00dfe \U0001f600\r\nx\x00") == "Gr\u00fc\u00dfe \U0001f600  x "
    assert sanitize("\ud800x") == "\ufffdx"
    assert sanitize_line("  a \n\t b ") == "a b"


def test_headers_are_utf8_or_latin1() -> None:
    """Header values are decoded as in browsers."""
    assert decode_header("/\u00fc".encode()) == "/\u00fc"
    assert decode_header(b"/\xfc") == "/\u00fc"


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=700))
def test_the_refusal_of_any_url_is_valid(reason: str, location: str) -> None:
    """A page with a broken link in it does not lead to a malformed report."""
    for url in (location, f"//{location}/", f"http://{location}:8080/x"):
        line = EvidenceLine(refusal=url_refusal(reason, url))
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
    """Other parsers find another host in some of these URLs."""
    found = url_refusal("private", location, "http://page.example/")
    assert (found.host, found.port) == (visible_ascii(host), port)


@given(st.text(st.characters(), max_size=60) | st.ip_addresses().map(str) | st.just("fe80::1%eth0"))
def test_any_text_as_an_address_makes_a_valid_hop(text: str) -> None:
    """Text that is not an address is left out; an address has the form that the worker accepts."""
    shown = ip_literal(text)
    hop = Hop(
        url=http_url(text),
        via=identifier(text),
        headers=((header_name(text) or "x", sanitize(text)),),
        address=shown or None,
    )
    reader = ReportReader("s", 1)
    result = reader.feed(encode_line(EvidenceLine(hop=hop)))
    assert result is SinkResult.MORE, reader.fault_detail


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
    """All characters remain recognizable, and no control character remains."""
    assert visible_ascii(host) == shown
    assert len(visible_ascii(host * 600)) == 512


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
    """Seconds are integers; the URL may have quotes and a prefix."""
    assert parse_refresh(content) == refresh


@given(st.text(max_size=100))
def test_any_text_can_be_parsed_as_a_refresh(text: str) -> None:
    """No text raises an exception, and every delay is valid in the report."""
    refresh = parse_refresh(text)
    assert refresh is None or 0 <= refresh.delay_s <= 1e9
