"""Cookies that a redirect sets: those that are sent back, and their order."""

from tests.browser.case import OTHER, Case, make_response, redirect
from tests.support.pages import Request

_COMPARE = ("requests", "cookies")
#: Seconds to wait for changes; these pages do not navigate.
_QUIET_S = 0.1


def _set(name: str, *cookies: bytes, to: str = "/there") -> Case:
    lines = tuple(b"Set-Cookie: " + cookie for cookie in cookies)
    start = "/cookie/set"
    pages = {start: redirect(to.encode(), *lines), to: make_response(OTHER)}
    return Case(name, pages, _COMPARE, start, _QUIET_S)


def _until_it_comes(request: Request) -> bytes:
    if request.headers.get("cookie") == "gate=caf\xe9":
        return make_response(OTHER)
    return redirect(b"/", b"Set-Cookie: gate=caf\xe9; path=/")


CASES = (
    _set("utf-8", "a=\u6625\u8282; path=/".encode()),
    _set("latin-1", b"a=caf\xe9; path=/"),
    _set("utf-8-name", "\u6625=1; path=/".encode()),
    _set("no-name", b"value; path=/"),
    _set("empty-name", b"=value; path=/"),
    _set("empty-name-equals", b"==value; path=/", b"=x=y; path=/"),
    _set("empty-value", b"a=; path=/"),
    _set("control", b"a=b\x01c; path=/", b"d=e; path=/"),
    _set("tab-inside", b"a=b\tc; path=/"),
    _set("tabs-around", b"\ta\t=\tb\t; path=/"),
    _set("default-path", b"a=1", b"b=2; path=/", to="/cookie/other"),
    _set("default-path-elsewhere", b"a=1", b"b=2; path=x", b"c=3; path=/"),
    _set("order", b"a=1; path=/", b"b=2; path=/cookie", b"c=3; path=/", to="/cookie/x"),
    _set("path-boundary", b"a=1; path=/coo", b"b=2; path=/cookie/", to="/cookie/x"),
    _set("replaced", b"a=1; path=/", b"b=2; path=/", b"a=3; path=/"),
    _set("set-again", b"a=1; path=/", b"b=2; path=/", b"a=1; path=/"),
    _set("dates", b"a=1; path=/; expires=Thu, 10 Apr 1980 16:33:12 GMT",
         b"b=1; path=/; expires=10-apr-80 16:33:12", b"c=1; path=/; expires=nonsense",
         b"d=1; path=/; max-age=+0", b"e=1; path=/; max-age=0", b"f=1; path=/; max-age=-5",
         b"g=1; path=/; max-age=9; expires=Thu, 10 Apr 1980 16:33:12 GMT"),
    _set("prefixes", b"__Secure-a=1; path=/", b"__host-b=1; path=/", b"__Host-c; path=/",
         b"=__Secure-d=1; path=/", b"z=1; path=/"),
    _set("size", b"a=" + b"x" * 4095 + b"; path=/", b"b=" + b"x" * 4096 + b"; path=/"),
    _set("quotes", b'a="b; c"; path=/', b'"d;e"=f; path=/'),
    _set("name-without-equals", b"a;b=c", b"d", b"e", to="/cookie/x"),
    _set("nothing", b"a=1; path=/", b"", b"   ", b"=", b"; path=/"),
    _set("path-twice", b"a=1; path=/; path=/elsewhere", b"b=1; path=/elsewhere; path=/",
         b"c=1; path=/; path=", to="/cookie/x"),
    _set("path-encoded", b"a=1; path=/cooki%65", b"b=1; path=/cookie", to="/cookie/x"),
    _set("attributes-odd", b"a=1; path=/;", b"b=1;;path=/", b"c=1; PATH = /", b"d=1; path=/ ; x",
         b"e=1, path=/; path=/", b'f=1; path="/"', to="/x"),
    _set("dates-loose", b"a=1; path=/; expires=Tue, 31-Feb-2099 00:00:00 GMT",
         b"b=1; path=/; expires=1 jan 1990 0:0:0", b"c=1; path=/; expires=Jan/1/1990 00:00:00",
         b"d=1; path=/; expires=1990 1 jan 00:00:00", b"e=1; path=/; expires=1 jan 90 00:00",
         b"f=1; path=/; expires=1 jan 99999 00:00:00", b"g=1; path=/; expires=1 january 1990 0:0:0",
         b"h=1; path=/; expires=99 jan 1990 00:00:00", b"i=1; path=/; expires=1 jan 1500 0:0:0",
         b"j=1; path=/; expires=1 jan 1600 0:0:0", b"k=1; path=/; expires=1 jan 100 0:0:0",
         b"l=1; path=/; expires=1 jan 1601 0:0:0", b"m=1; path=/; expires=1 jan 9999 0:0:0"),
    _set("ages", b"a=1; path=/; max-age=0.5", b"b=1; path=/; max-age=x", b"c=1; path=/; max-age=-",
         b'd=1; path=/; max-age="0"', b"e=1; path=/; max-age=00", b"f=1; path=/; max-age=1e9",
         b"g=1; path=/; max-age= 0 ", b"h=1; path=/; max-age"),
    _set("ages-broken", b"a=1; path=/; max-age=0x", b"b=1; path=/; max-age=-1x",
         b"c=1; path=/; max-age=0 1", b"d=1; path=/; max-age=-0.5", b"e=1; path=/; max-age=+0.5",
         b"f=1; path=/; max-age=1.5", b"g=1; path=/; max-age=-1", b"h=1; path=/; max-age=--1",
         b"i=1; path=/; max-age=0.0", b"j=1; path=/; max-age=00.5", b"k=1; path=/; max-age=0,5"),
    _set("same-site", b"a=1; path=/; SameSite=None", b"b=1; path=/; SameSite=Lax",
         b"c=1; path=/; samesite=STRICT", b"d=1; path=/; SameSite=klingon",
         b"e=1; path=/; SameSite",
         b"f=1; path=/; SameSite=Lax; SameSite=None", b"g=1; path=/; SameSite=None; SameSite=Lax"),
    _set("partitioned", b"a=1; path=/; Partitioned", b"b=1; path=/; priority=high",
         b"c=1; path=/; HttpOnly"),
    _set("attribute-long", b"a=1; x=" + b"y" * 1025 + b"; path=/",
         b"b=1; path=/" + b"y" * 1024, b"c=1; path=/; max-age=0" + b" " * 1100,
         b"d=1; path=/; domain=" + b"y" * 1100),
    _set("many", *(b"c%d=1; path=/" % number for number in range(170))),
    _set("too-many", *(b"c%d=1; path=/" % number for number in range(200))),
    Case("gate", {"/": _until_it_comes}, _COMPARE),
)  # fmt: skip
