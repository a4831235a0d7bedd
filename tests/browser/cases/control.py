"""Valid responses; if these are read differently, the comparison itself is wrong."""

from tests.browser.case import LOGIN, OTHER, Case, answer, redirect

_ALL = ("url", "title", "requests", "cookies", "targets", "password", "charset")

CASES = (
    Case("page", {"/": answer()}, _ALL),
    Case("redirect", {"/": redirect(b"/there?x=1"), "/there?x=1": answer()}, _ALL),
    Case(
        "cookie",
        {"/": redirect(b"/there", b"Set-Cookie: a=b; Path=/"), "/there": answer(OTHER)},
        _ALL,
    ),
    Case("chunked", {"/": answer(
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(LOGIN), LOGIN.encode()),
        b"Transfer-Encoding: chunked",
        length=b"",
    )}, _ALL),
)  # fmt: skip
