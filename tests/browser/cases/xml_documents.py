"""SVG, XHTML and other XML as documents."""

from tests.browser.case import Case, make_response

_ALL = ("title", "targets", "password")
_H = "xmlns='http://www.w3.org/1999/xhtml'"
_S = "xmlns='http://www.w3.org/2000/svg'"
_OPEN = "<!DOCTYPE html ["
_FORM = f"<form {_H} action='/next'><input type='password'/></form>"
_PAGE = f"<html {_H}><head><title>PayPal</title></head><body>{_FORM}</body></html>"


def _case(name: str, kind: bytes, body: str) -> Case:
    return Case(name, {"/": make_response(body, kind=kind)}, _ALL)


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
    _case("nested_entities", b"image/svg+xml", "<!DOCTYPE svg [<!ENTITY w 'http://www.w3.org'>"
          f"<!ENTITY n '&w;/2000/svg'>]><svg xmlns='&n;'><title>&n;</title>{_FORM}</svg>"),
    _case("entity_with_tags", b"application/xml", f'{_OPEN}<!ENTITY f "{_FORM}">]>'
          f"<html {_H}><title>t</title><body>&f;</body></html>"),
    _case("parameter_entity", b"application/xml",
          f"""{_OPEN}<!ENTITY % p "<!ENTITY t 'made'>"> %p;]>"""
          f"<html {_H}><title>&t;</title></html>"),
    _case("default_attribute", b"application/xml", f"{_OPEN}<!ATTLIST form action CDATA '/default'>"
          f"<!ATTLIST input type CDATA 'password'>]><html {_H}><form><input/></form></html>"),
    _case("named_without_dtd", b"application/xml",
          f"<html {_H}><title>a&nbsp;b</title>{_FORM}</html>"),
    _case("named_xhtml", b"application/xhtml+xml",
          '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "xhtml1-strict.dtd">'
          f"<html {_H}><title>P&Pi;y</title>{_FORM}</html>"),
    _case("external_entity", b"application/xml", f"{_OPEN}<!ENTITY e SYSTEM '/extra'>]>"
          f"<html {_H}><title>a&e;b</title>{_FORM}</html>"),
)  # fmt: skip
