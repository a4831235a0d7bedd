"""The target of a redirect's Location header."""

from tests.browser.case import LOGIN, OTHER, Case, make_response, redirect

_COMPARE = ("url", "title", "requests")
#: Seconds to wait for changes; these pages do not navigate.
_QUIET_S = 0.1


def _to(name: str, location: bytes, start: str = "/dir/page", why: str = "") -> Case:
    return Case(name, {start.partition("#")[0]: redirect(location), "*": make_response(LOGIN)},
                _COMPARE, start, _QUIET_S, why)  # fmt: skip


def _answers(name: str, *lines: bytes, first: bytes = b"HTTP/1.1 302 Found") -> Case:
    """Return a page with these header lines, and the same page under every other path."""
    return Case(
        name,
        {"/": make_response(LOGIN, *lines, first=first), "*": make_response(OTHER)},
        _COMPARE,
        quiet_s=_QUIET_S,
    )


CASES = (
    _to("quotes", b'"/a"'),
    _to("angles", b"</a>"),
    _to("no-break-space", b"/a\xc2\xa0"),
    _to("zero-width-space", b"/a\xe2\x80\x8b"),
    _to("latin-1", b"/caf\xe9?caf\xe9"),
    _to("utf-8", b"/caf\xc3\xa9?caf\xc3\xa9"),
    _to("tab", b"/a\tb"),
    _to("spaces", b" /a b "),
    _to("backslashes", b"\\a\\b"),
    _to("user-info", b"http://u:p@origin.test/a", why="User name and password are not kept."),
    _to("backslash-and-at", b"//origin.test\\@other.example/a"),
    Case(
        "space-in-user",
        {"/": redirect(b"http://a b@origin.test/a"), "*": make_response(LOGIN)},
        ("title", "requests"),
    ),
    _to("tab-in-scheme", b"ht\ttp://origin.test/a"),
    _to("wide-space", b"\xe3\x80\x80/a"),
    _to("many-slashes", b"http:\\\\\\origin.test/a"),
    _to("scheme-without-slashes", b"http:a"),
    _to("dots", b"../../x/./y/%2e%2E/z"),
    _to("query", b"?q='\"<>`{}|^\\"),
    _to("path", b"'\"<>`{}^%zz%"),
    _to("bar-in-path", b"a|b", why="Chromium writes %7C; the URL standard and others leave it."),
    _to("nul", b"/a%00b"),
    _to("empty", b""),
    _answers("none"),
    _answers("twice", b"Location: /a", b"Location: /a"),
    _answers("multiple-choices", b"Location: /a", first=b"HTTP/1.1 300 Choose"),
    _answers("created", b"Location: /a", first=b"HTTP/1.1 201 Created"),
    _answers("see-other", b"Location: /a", first=b"HTTP/1.1 303 Other"),
    _answers("use-proxy", b"Location: /a", first=b"HTTP/1.1 305 Proxy"),
    _answers("code-306", b"Location: /a", first=b"HTTP/1.1 306 Switch"),
    _answers("permanent", b"Location: /a", first=b"HTTP/1.1 308 Permanent"),
    _answers("code-309", b"Location: /a", first=b"HTTP/1.1 309 Odd"),
    _answers("forbidden", b"Location: /a", first=b"HTTP/1.1 403 Forbidden"),
    _answers("content-location", b"Content-Location: /a", first=b"HTTP/1.1 200 OK"),
    _to("scheme", b"javascript:alert(1)"),
)
