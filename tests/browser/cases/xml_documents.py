"""SVG, XHTML and other XML that is opened as a document of its own."""

from tests.browser.case import Case, answer

_ALL = ("title", "targets", "password")
_H = "xmlns='http://www.w3.org/1999/xhtml'"
_S = "xmlns='http://www.w3.org/2000/svg'"
_FORM = f"<form {_H} action='/next'><input type='password'/></form>"
_PAGE = f"<html {_H}><head><title>PayPal</title></head><body>{_FORM}</body></html>"


def _case(name: str, kind: bytes, body: str) -> Case:
    return Case(name, {"/": answer(body, kind=kind)}, _ALL)


CASES = (
    _case("xhtml", b"application/xhtml+xml", _PAGE),
    _case("xhtml_as_xml", b"application/xml", _PAGE),
    _case("xhtml_as_text_xml", b"text/xml; charset=utf-8", _PAGE),
    _case("plus_xml", b"application/odd+xml", _PAGE),
    _case("sniffed", b"", "<?xml version='1.0'?>" + _PAGE),
    _case("svg", b"image/svg+xml",
          f"<svg {_S}><title>s</title><foreignObject>{_FORM}</foreignObject></svg>"),
    _case("svg_late_title", b"image/svg+xml", f"<svg {_S}><g><title>s</title></g></svg>"),
    _case("svg_html_title", b"image/svg+xml", f"<svg {_S}><title {_H}>h</title>{_FORM}</svg>"),
    _case("svg_in_xhtml", b"application/xhtml+xml",
          f"<html {_H}><body><svg {_S}><title>s</title></svg><title>h</title></body></html>"),
    _case("upper_case", b"application/xhtml+xml", f"<html {_H}><TITLE>x</TITLE></html>"),
    _case("no_namespace", b"application/xml", "<html><title>x</title><form action='/n'/></html>"),
    _case("prefixed", b"application/xml", f"<x><h:title xmlns:h{_H[5:]}>p</h:title>{_FORM}</x>"),
    _case("feed", b"application/rss+xml", "<rss><channel><title>news</title></channel></rss>"),
)  # fmt: skip
