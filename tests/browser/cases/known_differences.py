"""Pages that fetchers and browsers are known to read differently, each on a path of one site.

One site serves all of them, so that they can be opened by a name and by an address.
"""

import gzip
from collections.abc import Mapping
from typing import Final

from tests.browser.case import LOGIN, OTHER, Case, Response, make_response, redirect
from tests.support.pages import Request

_FIELDS: Final = "<input type=email name=e><input type=password name=p>"
_DROP: Final = "https://api.telegram.org/bot1/sendMessage"
_UNENDING: Final = gzip.compress(LOGIN.encode())[:-8]
_COOKIE: Final = "c=Zürich"
_XHTML: Final = (
    "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>PayPal: Log in</title></head><body>"
    "<form action='/next' method='post'><input type='password' name='p'/></form></body></html>"
)


def _cookie(request: Request) -> bytes:
    """Return the page to a client that sends the cookie back, and a redirect to all others."""
    # Heads are decoded as Latin-1.
    if _COOKIE.encode().decode("latin-1") in request.headers.get("cookie", ""):
        return make_response()
    return redirect(b"/cookie", f"Set-Cookie: {_COOKIE}; Path=/".encode())


def _refresh(to: str, more: str = "") -> bytes:
    page = f"<title>wait</title><meta http-equiv=refresh content='0;url={to}'><p>One moment</p>"
    return make_response(page + more)


#: The site's responses by path.
SITE: Final[Mapping[str, Response]] = {
    "/plain": make_response(),
    "/other": make_response(OTHER),
    "/slash_in_a_field_name": make_response(LOGIN, b"forum.php/x: 1"),
    "/identity": make_response(LOGIN, b"Transfer-Encoding: identity"),
    "/line_before": b"\r\n" + make_response(),
    "/bad_crc": make_response(_UNENDING + bytes(8), b"Content-Encoding: gzip"),
    "/cookie": _cookie,
    "/quoted": redirect(b'"/other"'),
    "/%22/other%22": make_response(),
    "/fragment": redirect(b"/plain"),
    "/two_types": make_response(kind=b"text/plain, text/html"),
    "/svg": make_response("<!doctype html><body><svg><title>x</title></svg>" + LOGIN),
    "/label": make_response(
        "<!doctype html><meta charset=ms932><title>アマゾン ログイン</title>".encode("cp932")
        + _FIELDS.encode(),
        kind=b"text/html",
    ),
    "/button": make_response(
        f"<title>Account</title><form action=/safe method=post>{_FIELDS}"
        f"<button formaction={_DROP}>Go</button></form>"
    ),
    "/hidden_field": _refresh("/plain", "<form hidden><input name=q></form>"),
    "/noscript": make_response(
        "<title>PayPal</title><noscript><meta http-equiv=refresh content='0;url=/other'></noscript>"
        "<body><script>document.body.innerHTML='<input type=password>'</script>"
    ),
    "/script": make_response(
        "<title>Redirecting</title><p>Redirecting</p>"
        "<script>setTimeout(\"location.href='/plain'\",10)</script>"
    ),
    "/xhtml": make_response(_XHTML, kind=b"application/xml"),
}
_PAGE: Final = ("url", "title", "password", "targets")


def _case(path: str, compare: tuple[str, ...] = _PAGE) -> Case:
    return Case(path.strip("/").partition("#")[0], SITE, compare, start=path)


CASES = (
    _case("/plain"),
    _case("/slash_in_a_field_name"),
    _case("/identity"),
    _case("/line_before"),
    _case("/bad_crc"),
    _case("/cookie", (*_PAGE, "requests", "cookies")),
    _case("/quoted"),
    _case("/fragment#victim@example.com"),
    _case("/two_types", (*_PAGE, "kind")),
    _case("/svg"),
    _case("/label", ("url", "title", "password", "charset")),
    _case("/button"),
    _case("/hidden_field", (*_PAGE, "requests")),
    _case("/noscript", ("url", "title", "password", "requests")),
    _case("/script", ("onward",)),
    _case("/xhtml", (*_PAGE, "kind")),
)
