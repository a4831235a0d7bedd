"""Tells which elements of a page are HTML's, and which are SVG's or MathML's.

The parser does not say it; what an element's ancestors are does (HTML standard, "tree construction
dispatcher"): integration points hold HTML again inside of a drawing or a formula.
"""

from enum import Enum

from selectolax.lexbor import LexborNode

from fetcher.page.reading import Attributes, attribute


class Space(Enum):
    """A namespace, or the place inside of one where another one's elements may stand."""

    HTML = "html"
    SVG = "svg"
    MATH = "math"
    #: Inside of MathML's token elements all but two elements are HTML's.
    MATH_TOKEN = "math_token"  # noqa: S105 - no secret
    #: Inside of an annotation a drawing may stand.
    ANNOTATION = "annotation"


_ROOTS = {"svg": Space.SVG, "math": Space.MATH}
_SVG_POINTS = frozenset({"foreignobject", "desc", "title"})
_MATH_TOKENS = frozenset({"mi", "mo", "mn", "ms", "mtext"})
_MATH_IN_TOKENS = frozenset({"mglyph", "malignmark"})
_HTML_ENCODINGS = frozenset({"text/html", "application/xhtml+xml"})


def own_space(around: Space, tag: str) -> Space:
    """Return the namespace of an element: HTML, SVG or MATH."""
    if around is Space.HTML or (around is Space.MATH_TOKEN and tag not in _MATH_IN_TOKENS):
        return _ROOTS.get(tag, Space.HTML)
    if around is Space.SVG or (around is Space.ANNOTATION and tag == "svg"):
        return Space.SVG
    return Space.MATH


def inner_space(own: Space, tag: str, attributes: Attributes) -> Space:
    """Return what stands inside of an element of that namespace."""
    if own is Space.SVG and tag.lower() in _SVG_POINTS:
        return Space.HTML
    if own is Space.MATH and tag in _MATH_TOKENS:
        return Space.MATH_TOKEN
    if own is Space.MATH and tag == "annotation-xml":
        is_html = attribute(attributes, "encoding").lower() in _HTML_ENCODINGS
        return Space.HTML if is_html else Space.ANNOTATION
    return own


def is_html(node: LexborNode) -> bool:
    """Tell whether an element is HTML's, by way of its ancestors."""
    line = [node]
    while (parent := line[-1].parent) is not None:
        line.append(parent)
    around = own = Space.HTML
    for each in reversed(line):
        tag = each.tag or ""
        own = own_space(around, tag)
        around = inner_space(own, tag, each.attributes if each.is_element_node else {})
    return own is Space.HTML
