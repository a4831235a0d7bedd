"""Valid responses; if these are read differently, the comparison itself is wrong."""

from tests.browser.case import LOGIN, OTHER, Case, make_response, redirect

_ALL = ("url", "title", "requests", "cookies", "targets", "password", "charset")

CASES = (
    Case("page", {"/": make_response()}, _ALL),
    Case("redirect", {"/": redirect(b"/there?x=1"), "/there?x=1": make_response()}, _ALL),
    Case(
        "cookie",
        {"/": redirect(b"/there", b"Set-Cookie: a=b; Path=/"), "/there": make_response(OTHER)},
        _ALL,
    ),
    Case("chunked", {"/": make_response(
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(LOGIN), LOGIN.encode()),
        b"Transfer-Encoding: chunked",
        length=b"",
    )}, _ALL),
)  # fmt: skip
