"""Determines whether elements belong to HTML, SVG or MathML.

The parser does not provide the namespace, so it is derived from the ancestors (HTML standard, "tree
construction dispatcher"): integration points inside of SVG and MathML contain HTML.
"""

from enum import Enum

from selectolax.lexbor import LexborNode

from fetcher.page.evidence import Attributes, attribute


class Namespace(Enum):
    """A namespace, or a context in which elements of another namespace may occur."""

    HTML = "html"
    SVG = "svg"
    MATH = "math"
    #: Inside of MathML's token elements all elements are HTML, except for two.
    MATH_TOKEN = "math_token"  # noqa: S105 - no secret
    #: Inside of `annotation-xml` an SVG element may occur.
    ANNOTATION = "annotation"


_ROOTS = {"svg": Namespace.SVG, "math": Namespace.MATH}
_SVG_INTEGRATION_POINTS = frozenset({"foreignobject", "desc", "title"})
_MATH_TOKENS = frozenset({"mi", "mo", "mn", "ms", "mtext"})
_MATH_IN_TOKENS = frozenset({"mglyph", "malignmark"})
_HTML_ENCODINGS = frozenset({"text/html", "application/xhtml+xml"})


def element_namespace(context: Namespace, tag: str) -> Namespace:
    """Return the namespace of an element: HTML, SVG or MATH."""
    if context is Namespace.HTML or (
        context is Namespace.MATH_TOKEN and tag not in _MATH_IN_TOKENS
    ):
        return _ROOTS.get(tag, Namespace.HTML)
    if context is Namespace.SVG or (context is Namespace.ANNOTATION and tag == "svg"):
        return Namespace.SVG
    return Namespace.MATH


def content_namespace(namespace: Namespace, tag: str, attributes: Attributes) -> Namespace:
    """Return the context inside of an element with that namespace."""
    if namespace is Namespace.SVG and tag.lower() in _SVG_INTEGRATION_POINTS:
        return Namespace.HTML
    if namespace is Namespace.MATH and tag in _MATH_TOKENS:
        return Namespace.MATH_TOKEN
    if namespace is Namespace.MATH and tag == "annotation-xml":
        is_html = attribute(attributes, "encoding").lower() in _HTML_ENCODINGS
        return Namespace.HTML if is_html else Namespace.ANNOTATION
    return namespace


def is_html(node: LexborNode) -> bool:
    """Return True if an element belongs to HTML, by its ancestors."""
    ancestors = [node]
    while (parent := ancestors[-1].parent) is not None:
        ancestors.append(parent)
    context = namespace = Namespace.HTML
    for each in reversed(ancestors):
        tag = each.tag or ""
        namespace = element_namespace(context, tag)
        context = content_namespace(namespace, tag, each.attributes if each.is_element_node else {})
    return namespace is Namespace.HTML
