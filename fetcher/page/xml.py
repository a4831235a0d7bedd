"""Reads an XML document into nodes that are walked as the HTML parser's are.

Nothing is loaded: no request is made for an external entity. What the document declares itself is
expanded as browsers do, up to a bound on what comes out of it; expat (from 2.4 on) ends a document
whose entities grow a hundredfold before that.
"""

import html.entities
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.parsers import expat

import msgspec

from fetcher.page.collector import Collector, page_of
from fetcher.page.dom import UNREAD
from fetcher.page.foreign import Space
from fetcher.page.leads import find_leads
from fetcher.page.reading import Attributes, FormDraft, Links, Reading, attribute
from fetcher.sanitize import LONG, URL, sanitize, sanitize_line

_XHTML = "http://www.w3.org/1999/xhtml"
_SPACES = {
    _XHTML: Space.HTML,
    "http://www.w3.org/2000/svg": Space.SVG,
    "http://www.w3.org/1998/Math/MathML": Space.MATH,
}
_XLINK = "http://www.w3.org/1999/xlink"
_XSL = re.compile(r"\btype\s*=\s*[\"'][^\"']*(?:xsl|/xml)", re.IGNORECASE)
_MAX_DEPTH = 5_000
_MAX_NODES = 200_000
#: Characters of all texts and attributes together, entities and defaults expanded: twice what is
#: read of a page (`MAX_PARSED_BYTES`).
_MAX_CHARS = 4 * 1024 * 1024
#: The document is read so many characters at a time: what came before a fault is kept.
_STEP = 16 * 1024


class XmlNode:
    """An element or a text."""

    def __init__(self, tag: str, space: Space | None, attributes: Attributes, data: str) -> None:
        """Make a node that has no children yet."""
        self.tag = tag
        #: None where it is neither HTML's nor SVG's nor MathML's.
        self.space = space
        self.attributes = attributes
        self.data = data
        self.children: list[XmlNode] = []

    @property
    def id(self) -> str:
        """Return the element's id."""
        return self.attributes.get("id") or ""

    def text(self, deep: bool = True, separator: str = "") -> str:  # noqa: FBT001, FBT002 - see Element
        """Return its text, with that of the nodes inside of it where `deep`."""
        if not deep:
            return self.data
        return separator.join(node.data for node in self.walk() if node.data)

    def walk(self) -> Iterator["XmlNode"]:
        """Yield this node and all inside of it, in document order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class XmlDocument:
    """What came of a document: its root if there is one, and why not all of it was read."""

    def __init__(self) -> None:
        """Begin an empty document."""
        self.top = XmlNode("", None, {}, "")
        self.fault = ""
        self.stylesheet = False
        self._open = [self.top]
        self._count = 0
        self._chars = 0

    @property
    def root(self) -> XmlNode | None:
        """Return the document's element."""
        return next((node for node in self.top.children if node.tag), None)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take in a start tag."""
        uri, _, tag = name.rpartition(" ")
        self._grow(sum(len(key) + len(value) for key, value in attributes.items()))
        named = {_attribute_name(key): value for key, value in attributes.items()}
        self._add(XmlNode(tag, _SPACES.get(uri), named, ""))
        self._open.append(self._open[-1].children[-1])
        if len(self._open) > _MAX_DEPTH:
            raise _RefusedError(f"Elements are nested more than {_MAX_DEPTH} deep.")

    def end(self, _name: str) -> None:
        """Take in an end tag."""
        self._open.pop()

    def text(self, data: str) -> None:
        """Take in text."""
        self._grow(len(data))
        if len(self._open) > 1:
            self._add(XmlNode("", None, {}, data))

    def instruction(self, target: str, data: str) -> None:
        """Take in a processing instruction."""
        is_sheet = target == "xml-stylesheet" and bool(_XSL.search(data))
        self.stylesheet = self.stylesheet or is_sheet

    def skipped(self, name: str, is_parameter: bool) -> None:  # noqa: FBT001 - expat's
        """Take in an entity of a DTD that was not loaded: HTML's names are known without one."""
        if not is_parameter and name in html.entities.entitydefs:
            self.text(html.entities.entitydefs[name])

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > _MAX_CHARS:
            raise _RefusedError(f"The document expands to more than {_MAX_CHARS:,} characters.")

    def _add(self, node: XmlNode) -> None:
        self._count += 1
        if self._count > _MAX_NODES:
            raise _RefusedError(f"The document has more than {_MAX_NODES:,} nodes.")
        self._open[-1].children.append(node)


class _RefusedError(Exception):
    """The document holds what is not read."""


def parse_xml(text: str) -> XmlDocument:
    """Return what stands in the document before its end or its first fault."""
    found = XmlDocument()
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    # Chromium expands no parameter entities either, not even a document's own.
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.ProcessingInstructionHandler = found.instruction
    parser.SkippedEntityHandler = found.skipped
    data = text.encode("utf-8", "replace")
    try:
        for start in range(0, len(data), _STEP):
            parser.Parse(data[start : start + _STEP], False)  # noqa: FBT003 - has no name
        parser.Parse(b"", True)  # noqa: FBT003 - see above
    except _RefusedError as error:
        found.fault = str(error)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        found.fault = f"The XML is not well-formed ({reason}, line {error.lineno})."
    return found


def _attribute_name(name: str) -> str:
    uri, _, local = name.rpartition(" ")
    if not uri:
        return local
    return f"xlink:{local}" if uri == _XLINK else f"{uri} {local}"


@dataclass(frozen=True, slots=True)
class _Place:
    owner: FormDraft | None = None
    is_read: bool = True


def read_xml(text: str, page_url: str) -> Reading:
    """Parse the text and return what it says as a page."""
    document = parse_xml(text)
    collector = Collector(Links(page_url))
    root = document.root
    if root is not None and root.space is Space.SVG:
        titles = (x for x in root.children if x.space is Space.SVG and x.tag == "title")
        first = next(titles, None)
        collector.title = sanitize_line(first.text(), LONG) if first else ""
    for node in document.top.walk():
        if node.space is Space.HTML and node.tag == "base" and "href" in node.attributes:
            href = collector.links.absolute(attribute(node.attributes, "href"))
            collector.links.base = sanitize(href, URL)
            break
    _walk(document, collector)
    collector.settle()
    leads = find_leads(collector.code, collector.refresh, collector.forms, collector.links)
    page = page_of(collector, leads)
    sheet = "The document is shown by an XSLT stylesheet, which was not run."
    notes = (page.partial, document.fault, sheet if document.stylesheet else "")
    page = msgspec.structs.replace(page, partial=" ".join(filter(None, notes)))
    return Reading(page, collector.icon)


def _walk(document: XmlDocument, collector: Collector) -> None:
    """Visit every node in document order, without recursion."""
    scope = collector.scopes[0]
    stack = [(document.top, _Place())]
    while stack:
        node, place = stack.pop()
        if node.data and place.is_read:
            collector.text(node.data)
        owner = place.owner
        if node.space is Space.HTML:
            owner = collector.element(node, node.tag, owner, scope)
        elif node.space is Space.SVG:
            collector.drawing(node, node.tag)
        if node.space is Space.HTML and node.tag == "template":
            continue
        is_read = place.is_read and node.tag not in UNREAD
        inner = _Place(owner, is_read)
        stack.extend((child, inner) for child in reversed(node.children))
