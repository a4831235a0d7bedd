"""The fragment of the URL after a redirect."""

from tests.browser.case import LOGIN, Case, make_response, redirect

_COMPARE = ("url", "title", "requests")


def _to(name: str, location: bytes, start: str = "/dir/page") -> Case:
    return Case(name, {start.partition("#")[0]: redirect(location), "*": make_response(LOGIN)},
                _COMPARE, start)  # fmt: skip


def _chain(name: str, first: bytes, second: bytes) -> Case:
    pages = {"/": redirect(first), "/b": redirect(second, first=b"HTTP/1.1 307 Found")}
    return Case(name, {**pages, "*": make_response(LOGIN)}, _COMPARE, "/#me")


CASES = (
    _to("survives", b"/a", "/dir/page#me"),
    _to("replaced", b"/a#other", "/dir/page#me"),
    _to("emptied", b"/a#", "/dir/page#me"),
    _to("gained", b"/a#other"),
    _to("empty-survives", b"/a", "/dir/page#"),
    _to("odd-survives", b"/a", "/dir/page#a%20b%zz'`<>"),
    _chain("through-two", b"/b", b"/c"),
    _chain("replaced-on-the-way", b"/b#other", b"/c"),
    _chain("emptied-on-the-way", b"/b#", b"/c"),
    _chain("other-host", b"http://origin.test/b", b"//origin.test/c"),
    Case(
        "refresh",
        {
            "/": make_response("<meta http-equiv=refresh content='0;url=/a'>"),
            "*": make_response(LOGIN),
        },
        _COMPARE,
        "/#me",
    ),
)
