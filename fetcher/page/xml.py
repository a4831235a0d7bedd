"""Parses an XML document into nodes that are collected like those of the HTML parser.

No external entity is loaded. Internal entities are expanded as in browsers, up to a maximum size;
before that, expat (since 2.4) refuses a document that entities make a hundred times larger.
"""

import html.entities
import re
from collections.abc import Iterator
from xml.parsers import expat

import msgspec
from msgspec import Struct

from fetcher.page.collector import Collector, build_page
from fetcher.page.dom import HIDDEN_ELEMENTS
from fetcher.page.evidence import Attributes, FormDraft, LinkResolver, ParsedPage, attribute
from fetcher.page.foreign import Namespace
from fetcher.page.navigation import find_navigation
from fetcher.sanitize import LONG, URL, sanitize, sanitize_line

_XHTML = "http://www.w3.org/1999/xhtml"
_NAMESPACES = {
    _XHTML: Namespace.HTML,
    "http://www.w3.org/2000/svg": Namespace.SVG,
    "http://www.w3.org/1998/Math/MathML": Namespace.MATH,
}
_XLINK = "http://www.w3.org/1999/xlink"
_XSL = re.compile(r"\btype\s*=\s*[\"'][^\"']*(?:xsl|/xml)", re.IGNORECASE)
_MAX_DEPTH = 5_000
_MAX_NODES = 200_000
#: Maximum number of characters in all texts and attributes after expansion: twice
#: `MAX_PARSED_BYTES`.
_MAX_CHARS = 4 * 1024 * 1024
#: The document is parsed in pieces of this size, so that the part before an error is kept.
_PIECE_CHARS = 16 * 1024


class XmlNode:
    """An element or a text."""

    def __init__(
        self, tag: str, namespace: Namespace | None, attributes: Attributes, data: str
    ) -> None:
        """Create a node without children."""
        self.tag = tag
        #: None if it is neither HTML nor SVG nor MathML.
        self.namespace = namespace
        self.attributes = attributes
        self.data = data
        self.children: list[XmlNode] = []

    @property
    def id(self) -> str:
        """The id of the element."""
        return self.attributes.get("id") or ""

    def text(self, deep: bool = True, separator: str = "") -> str:  # noqa: FBT001, FBT002 - see Element
        """Return the text; with the text of all descendants if `deep`."""
        if not deep:
            return self.data
        return separator.join(node.data for node in self.walk() if node.data)

    def walk(self) -> Iterator["XmlNode"]:
        """Yield this node and all its descendants in document order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class XmlDocument:
    """A parsed document: its root, if there is one, and the reason why it may be incomplete."""

    def __init__(self) -> None:
        """Start an empty document."""
        self.document_node = XmlNode("", None, {}, "")
        self.error = ""
        self.stylesheet = False
        self._open = [self.document_node]
        self._node_count = 0
        self._char_count = 0

    @property
    def root(self) -> XmlNode | None:
        """The root element."""
        return next((node for node in self.document_node.children if node.tag), None)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Add an element at its start tag."""
        uri, _, tag = name.rpartition(" ")
        self._count_chars(sum(len(key) + len(value) for key, value in attributes.items()))
        named = {_attribute_name(key): value for key, value in attributes.items()}
        self._append(XmlNode(tag, _NAMESPACES.get(uri), named, ""))
        self._open.append(self._open[-1].children[-1])
        if len(self._open) > _MAX_DEPTH:
            raise _RefusedError(f"Elements are nested more than {_MAX_DEPTH} deep.")

    def end(self, _name: str) -> None:
        """Close an element at its end tag."""
        self._open.pop()

    def text(self, data: str) -> None:
        """Add text."""
        self._count_chars(len(data))
        if len(self._open) > 1:
            self._append(XmlNode("", None, {}, data))

    def instruction(self, target: str, data: str) -> None:
        """Process a processing instruction."""
        is_sheet = target == "xml-stylesheet" and bool(_XSL.search(data))
        self.stylesheet = self.stylesheet or is_sheet

    def skipped_entity(self, name: str, is_parameter: bool) -> None:  # noqa: FBT001 - expat's
        """Expand HTML's named entities, which a DTD that is not loaded may define."""
        if not is_parameter and name in html.entities.entitydefs:
            self.text(html.entities.entitydefs[name])

    def _count_chars(self, chars: int) -> None:
        self._char_count += chars
        if self._char_count > _MAX_CHARS:
            raise _RefusedError(f"The document expands to more than {_MAX_CHARS:,} characters.")

    def _append(self, node: XmlNode) -> None:
        self._node_count += 1
        if self._node_count > _MAX_NODES:
            raise _RefusedError(f"The document has more than {_MAX_NODES:,} nodes.")
        self._open[-1].children.append(node)


class _RefusedError(Exception):
    """The document exceeds a limit."""


def parse_xml(text: str) -> XmlDocument:
    """Return the document up to its end or to its first error."""
    found = XmlDocument()
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    # Chromium does not expand parameter entities either, not even internal ones.
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.ProcessingInstructionHandler = found.instruction
    parser.SkippedEntityHandler = found.skipped_entity
    data = text.encode("utf-8", "replace")
    try:
        for start in range(0, len(data), _PIECE_CHARS):
            parser.Parse(data[start : start + _PIECE_CHARS], False)  # noqa: FBT003 - has no name
        parser.Parse(b"", True)  # noqa: FBT003 - see above
    except _RefusedError as error:
        found.error = str(error)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        found.error = f"The XML is not well-formed ({reason}, line {error.lineno})."
    return found


def _attribute_name(name: str) -> str:
    uri, _, local = name.rpartition(" ")
    if not uri:
        return local
    return f"xlink:{local}" if uri == _XLINK else f"{uri} {local}"


class _Context(Struct, frozen=True):
    owner: FormDraft | None = None
    is_visible: bool = True


def read_xml(text: str, page_url: str) -> ParsedPage:
    """Parse the text and return the document's evidence as a page."""
    document = parse_xml(text)
    collector = Collector(LinkResolver(page_url))
    root = document.root
    if root is not None and root.namespace is Namespace.SVG:
        titles = (x for x in root.children if x.namespace is Namespace.SVG and x.tag == "title")
        first = next(titles, None)
        collector.title = sanitize_line(first.text(), LONG) if first else ""
    for node in document.document_node.walk():
        if node.namespace is Namespace.HTML and node.tag == "base" and "href" in node.attributes:
            href = collector.links.absolute(attribute(node.attributes, "href"))
            collector.links.base = sanitize(href, URL)
            break
    _collect(document, collector)
    collector.assign_inputs()
    navigation = find_navigation(
        collector.code, collector.refresh, collector.forms, collector.links
    )
    page = build_page(collector, navigation)
    sheet = "The document is shown by an XSLT stylesheet, which was not run."
    reasons = (page.partial, document.error, sheet if document.stylesheet else "")
    page = msgspec.structs.replace(page, partial=" ".join(filter(None, reasons)))
    return ParsedPage(page, collector.icon)


def _collect(document: XmlDocument, collector: Collector) -> None:
    """Visit every node in document order, without recursion."""
    scope = collector.scopes[0]
    stack = [(document.document_node, _Context())]
    while stack:
        node, context = stack.pop()
        if node.data and context.is_visible:
            collector.add_text(node.data)
        owner = context.owner
        if node.namespace is Namespace.HTML:
            owner = collector.add_element(node, node.tag, owner, scope)
        elif node.namespace is Namespace.SVG:
            collector.add_svg_element(node, node.tag)
        if node.namespace is Namespace.HTML and node.tag == "template":
            continue
        is_visible = context.is_visible and node.tag not in HIDDEN_ELEMENTS
        inner = _Context(owner, is_visible)
        stack.extend((child, inner) for child in reversed(node.children))
