"""Characters around header values that Python strips as white space and HTTP does not."""

import gzip

from tests.browser.case import LOGIN, Case, make_response

_PACKED = gzip.compress(LOGIN.encode(), mtime=0)
_FIELDS = ("url", "title", "password")


def _encoded(name: str, value: bytes, body: bytes = _PACKED) -> Case:
    responses = {"/": make_response(body, b"Content-Encoding: " + value)}
    return Case(f"encoding, {name}", responses, _FIELDS, quiet_s=0.2)


def _unsniffed(name: str, value: bytes) -> Case:
    """Return a response without a type; it is a page only if `nosniff` is not recognized."""
    responses = {"/": make_response(LOGIN, b"X-Content-Type-Options: " + value, kind=b"")}
    return Case(f"nosniff, {name}", responses, _FIELDS, quiet_s=0.2)


CASES = (
    _encoded("tabs and spaces", b" \t gzip \t "),
    _encoded("tabs and spaces between two", b"gzip \t,\t gzip", gzip.compress(_PACKED, mtime=0)),
    _encoded("no-break space of Latin-1", b"gzip\xa0"),
    _encoded("no-break space before it", b"\xc2\xa0gzip"),
    _encoded("next line", b"gzip\x85"),
    _encoded("vertical tab", b"gzip\x0b"),
    _encoded("form feed", b"\x0cgzip"),
    _encoded("file separator", b"gzip\x1c"),
    _encoded("em space", "gzip\u2003".encode()),
    _unsniffed("tabs and spaces", b" \t nosniff \t "),
    _unsniffed("no-break space", b"nosniff\xa0"),
    _unsniffed("vertical tab", b"nosniff\x0b"),
    _unsniffed("form feed", b"\x0cnosniff"),
    _unsniffed("file separator", b"nosniff\x1c"),
    _unsniffed("em space", "nosniff\u2003".encode()),
    _unsniffed("a second value", b"nosniff \t, x"),
    _unsniffed("a second value in front", b"x, nosniff"),
)
