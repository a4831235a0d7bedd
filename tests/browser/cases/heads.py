"""Heads that violate RFC 9112 and that browsers accept or refuse."""

from tests.browser.case import LOGIN, OTHER, Case, make_response, redirect

_OK = b"HTTP/1.1 200 OK"
_TYPE = b"Content-Type: text/html; charset=utf-8"
_LENGTH = b"Content-Length: %d" % len(LOGIN)
_FIELDS = ("url", "title", "password")


def _raw(*lines: bytes, end: bytes = b"\r\n") -> bytes:
    return end.join(lines) + end + end + LOGIN.encode()


def _case(name: str, response: bytes, explained: str = "") -> Case:
    return Case(
        name,
        {"/": response, "/there": make_response(OTHER)},
        _FIELDS,
        quiet_s=0.2,
        explained=explained,
    )


CASES = (
    _case("no colon", _raw(_OK, b"odd line", _TYPE, _LENGTH)),
    _case("space before colon", _raw(_OK, b"Content-Type : text/html", _LENGTH)),
    _case("name that is no token", _raw(_OK, b"X(\xe4): b", b": c", _TYPE, _LENGTH)),
    _case("space before the first header", _raw(_OK, b" X: y", _TYPE, _LENGTH)),
    _case("two spaces in the status line", _raw(b"HTTP/1.1  200  OK", _TYPE, _LENGTH)),
    _case("status run into its reason", redirect(b"/there", first=b"HTTP/1.1 302Found")),
    _case("tabs in the status line", redirect(b"/there", first=b"HTTP/1.1\t302\tFound")),
    _case("no status", _raw(b"HTTP/1.1", _TYPE, _LENGTH)),
    _case("version of one digit", redirect(b"/there", first=b"HTTP/2 302")),
    _case("lines before", b"\r\n\r\n" + _raw(_OK, _TYPE, _LENGTH)),
    _case("five bytes before", b"12345" + _raw(_OK, _TYPE, _LENGTH)),
    _case("LF alone", _raw(_OK, _TYPE, _LENGTH, end=b"\n")),
    _case("CR alone", _raw(_OK + b"\rX: y", b"Content-Length: 0\rX: z", _TYPE)),
    _case("folded", redirect(b"", b" /there")),
    _case("NUL", _raw(_OK, b"X: a\0b", _TYPE, _LENGTH)),
    _case("control characters", _raw(_OK, b"X: a\x01\x7fb", _TYPE, _LENGTH)),
    _case("cut within", b"HTTP/1.1 302 Found\r\nLocation: /there"),
    _case("two locations", redirect(b"/there", b"Location: /other")),
    _case("the same location twice", redirect(b"/there", b"Location: /there")),
    _case("comma in a disposition", _raw(_OK, _TYPE, b"Content-Disposition: inline; filename=a,b")),
    _case("no HTTP", b"hello world, this is no HTTP"),
    _case("101 before", b"HTTP/1.1 101 Switching\r\n\r\n" + _raw(_OK, _TYPE, _LENGTH)),
)  # fmt: skip
