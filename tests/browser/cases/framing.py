"""The end of a body with unusual framing headers."""

from tests.browser.case import LOGIN, Case

_OK = b"HTTP/1.1 200 OK"
_BODY = LOGIN.encode()
_HALVES = (_BODY[:60], _BODY[60:])
_CHUNKED = b"Transfer-Encoding: chunked"
_WORD = b"5\r\nhello\r\n0\r\n\r\n"
_LENGTH = b"Content-Length: %d" % len(LOGIN)


def _chunks(*, end: bytes = b"\r\n", extension: bytes = b"", last: bytes = b"0\r\n\r\n") -> bytes:
    lines = [b"%x%b%b%b%b" % (len(x), extension, end, x, end) for x in _HALVES]
    return b"".join(lines) + last


def _case(name: str, *lines: bytes, body: bytes = _BODY, first: bytes = _OK) -> Case:
    head = b"\r\n".join([first, b"Content-Type: text/html; charset=utf-8", *lines])
    response = head + b"\r\n\r\n" + body
    fields = ("url", "title", "password", "text")
    return Case(name, {"/": response}, fields, quiet_s=0.2)


CASES = (
    _case("identity", b"Transfer-Encoding: identity", _LENGTH),
    _case("unknown", b"Transfer-Encoding: foo", b"Content-Length: 60"),
    _case("unknown and chunked", b"Transfer-Encoding: foo, Chunked", body=_chunks()),
    _case("chunked twice", _CHUNKED, _CHUNKED, body=_chunks()),
    _case("chunked and identity", _CHUNKED, b"Transfer-Encoding: identity", body=_chunks()),
    _case("with a parameter", b"Transfer-Encoding: chunked;q=1", body=_WORD),
    _case("in HTTP/1.0", _CHUNKED, body=_WORD, first=b"HTTP/1.0 200 OK"),
    _case("two lengths beside chunks", _CHUNKED, b"Content-Length: 5, 6", body=_chunks()),
    _case("lines end in LF", _CHUNKED, body=_chunks(end=b"\n", last=b"0\n\n")),
    _case("extensions", _CHUNKED, body=_chunks(extension=b" ;a=b", last=b"0;c\r\nX: y\r\n\r\n")),
    _case("spaces after a size", _CHUNKED, body=_chunks(extension=b"  ")),
    _case("length of letters", b"Content-Length: abc"),
    _case("length with a sign", b"Content-Length: +60"),
    _case("length below zero", b"Content-Length: -60"),
    _case("the same length twice", b"Content-Length: 60", b"Content-Length: 60"),
    _case("two lengths", b"Content-Length: 60", _LENGTH),
)
