"""The character set in which a page is read."""

from tests.browser.case import Case, make_response

_COMPARE = ("title", "charset")
#: Seconds to wait for changes; these pages do not navigate.
_QUIET_S = 0.1
#: Cyrillic in KOI8-R, and other letters in every other character set.
_BODY = b"<title>\xf0\xd2\xc9</title>"
_KOI = b"<meta charset=koi8-r>"


def _page(
    name: str, start: bytes, kind: bytes = b"text/html", body: bytes = _BODY, why: str = ""
) -> Case:
    return Case(
        name,
        {"/": make_response(start + body, kind=kind)},
        _COMPARE,
        quiet_s=_QUIET_S,
        explained=why,
    )


def _other(name: str, kind: bytes, body: bytes = b"x") -> Case:
    return Case(name, {"/": make_response(body, kind=kind)}, ("charset",), quiet_s=_QUIET_S)


def _xml(
    name: str, title: bytes = b"x", start: bytes = b"", kind: bytes = b"application/xhtml+xml"
) -> Case:
    page = (
        b"<html xmlns='http://www.w3.org/1999/xhtml'><head><meta charset='windows-1251'/>"
        b"<title>%b</title></head><body/></html>"
    )
    return Case(
        name,
        {"/": make_response(start + page % title, kind=kind)},
        ("title", "charset"),
        quiet_s=_QUIET_S,
    )


CASES = (
    _page("header", b"", b"text/html; charset=KOI8"),
    _page("header-quoted", b"", b'text/html; charset="koi8-r"'),
    _page("header-unknown", _KOI, b"text/html; charset=klingon"),
    _page("header-before-meta", _KOI, b"text/html; charset=windows-1251"),
    _page("mark-before-header", b"\xef\xbb\xbf", b"text/html; charset=koi8-r"),
    _page("label", b"<meta charset=csisolatincyrillic>"),
    _page("comment", b"<!-- <meta charset=windows-1251> -->" + _KOI),
    _page("script", b"<script>'<meta charset=windows-1251>'</script>" + _KOI),
    _page("style", b"<style><meta charset=windows-1251></style>" + _KOI),
    _page("title", b"<title><meta charset=windows-1251></title>" + _KOI),
    _page("unknown-meta", b"<meta charset=klingon>" + _KOI),
    _page("pragma", b"<meta content='x;charset = koi8-r;' http-equiv=Content-Type>"),
    _page("content-alone", b"<meta content='text/html; charset=windows-1251'>" + _KOI),
    _page("xml", b"<?xml version='1.0' encoding='koi8-r'?>"),
    _page("xml-and-meta", b"<?xml version='1.0' encoding='windows-1251'?>" + _KOI),
    _page("utf-16", b"<meta charset=utf-16>"),
    _page("user-defined", b"<meta charset=x-user-defined>"),
    _page("head-goes-on", b"<style>" + b"x" * 1500 + b"</style>" + _KOI),
    _page("body-ends-it", b"<p>" + b"x" * 1500 + b"<meta charset=windows-1251>",
          b"text/html", b"<title>x</title>"),
    _page("ascii", b"", body=b"<title>x</title>"),
    _page("western", b"", body=b"<title>caf\xe9</title>"),
    _page("utf-8-unsaid", b"", body="<title>caf\u00e9</title>".encode(),
          why="What is valid UTF-8 is read as that, which people can read."),
    _page("koi8-unsaid", b"", body="<title>\u0412\u0445\u043e\u0434 \u0432 "
          "\u043b\u0438\u0447\u043d\u044b\u0439 \u043a\u0430\u0431\u0438\u043d\u0435\u0442"
          "</title>".encode("koi8-r"), why="No set is guessed by how often letters come."),
    _other("plain", b"text/plain"),
    _other("plain-meta", b"text/plain", b"<meta charset=koi8-r>"),
    _xml("xml-ascii"),
    _xml("xml-utf-8", "\u0412".encode()),
    _xml("xml-declared", "\u0412".encode("koi8-r"), b"<?xml version='1.0' encoding='koi8-r'?>"),
    _xml("xml-declared-late", b"", b" \n<?xml version='1.0' encoding='koi8-r'?>"),
    _xml("xml-header", "\u0412".encode("koi8-r"), kind=b"text/xml; charset=koi8-r"),
    _xml("xml-header-wins", "\u0412".encode("koi8-r"),
         b"<?xml version='1.0' encoding='iso-8859-5'?>", b"text/xml; charset=koi8-r"),
    _xml("xml-unknown", b"", b"<?xml version='1.0' encoding='klingon'?>"),
    _xml("xml-utf-16-said", b"", b"<?xml version='1.0' encoding='utf-16'?>"),
    _xml("xml-no-type", "\u0412".encode("koi8-r"), b"<?xml version='1.0' encoding='koi8-r'?>", b""),
    _other("json", b"application/json", b"{}"),
    _page("attribute-twice", b"<meta charset=koi8-r charset=windows-1251>"),
    _page("gbk", b"<meta charset=gb2312>", body=b"<title>\x81\x40\xc4\xe3</title>"),
    _page("korean", b"<meta charset=ks_c_5601-1987>", body=b"<title>\x81\x41</title>"),
    _page("ukrainian", b"<meta charset=koi8-ru>", body=b"<title>\xae\xbe</title>"),
    _page("hebrew", b"<meta charset=logical>", body=b"<title>\xe0\xe1</title>"),
    _page("replacement", b"<p>x</p>", b"text/html; charset=hz-gb-2312"),
)  # fmt: skip
