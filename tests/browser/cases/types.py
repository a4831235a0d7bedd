"""Repeated, invalid and uninformative Content-Types: which responses are shown as a page."""

from tests.browser.case import LOGIN, Case, make_response

_ALL = ("title", "password")
_BINARY = b"\x00\x01\x02\x03"


def _case(name: str, *kinds: bytes, body: str | bytes = LOGIN, nosniff: bool = False) -> Case:
    lines = [b"Content-Type: " + kind for kind in kinds]
    lines += [b"X-Content-Type-Options: nosniff"] if nosniff else []
    return Case(name, {"/": make_response(body, *lines, kind=b"")}, _ALL)


CASES = (
    _case("last_html", b"text/plain", b"text/html"),
    _case("last_plain", b"text/html", b"text/plain"),
    _case("comma", b"text/plain, text/html"),
    _case("comma_plain", b"text/html, text/plain"),
    _case("last_star", b"text/html", b"*/*"),
    _case("last_invalid", b"text/html", b"nonsense"),
    _case("invalid_alone", b"nonsense"),
    _case("quoted_comma", b'text/html;x="a, text/plain"'),
    _case("none"),
    _case("none_nosniff", nosniff=True),
    _case("unknown", b"unknown/unknown"),
    _case("application_unknown", b"application/unknown"),
    _case("star", b"*/*"),
    _case("octets", b"application/octet-stream"),
    _case("plain", b"text/plain"),
    _case("none_text", body="<bogus><title>no</title>"),
    _case("none_late", body=b"  <!-- x --><title>late</title>"),
    _case("none_binary", body=_BINARY + LOGIN.encode()),
    _case("spaces", b"  text/html  ;charset=utf-8"),
    _case("space_inside", b"text /html"),
    _case("empty", b""),
)
