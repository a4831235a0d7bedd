"""Reads a page through a real HTML parser."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from selectolax.lexbor import LexborHTMLParser, LexborNode

from fetcher.page.collector import Collector, Scope, page_of
from fetcher.page.foreign import Space, inner_space, is_html, own_space
from fetcher.page.leads import find_leads
from fetcher.page.noscript import without_noscript
from fetcher.page.prescan import find_obstacle
from fetcher.page.reading import FormDraft, Links, Reading, attribute
from fetcher.sanitize import URL, sanitize

#: Elements `base` that are looked at for one that counts.
_MAX_BASES = 16
#: Shadow trees inside of one another.
_MAX_SHADOWS = 16
#: What the reader of a page does not see as its text.
UNREAD = frozenset({"script", "style", "noscript", "template", "title", "textarea", "option"})
#: Inside these the parser leaves a form empty; what follows it is its content.
_TABLE_PARTS = frozenset({"table", "thead", "tbody", "tfoot", "tr"})
#: Elements that can have a shadow tree, besides those whose name has a hyphen (DOM standard).
_HOSTS = frozenset(
    {
        *("article", "aside", "blockquote", "body", "div", "footer", "header", "main", "nav", "p"),
        *("section", "span", "h1", "h2", "h3", "h4", "h5", "h6"),
    }
)


def read_dom(text: str, page_url: str) -> Reading:
    """Parse the text and return what it says."""
    tree = LexborHTMLParser(text)
    collector = Collector(Links(page_url))
    bases = tree.css("base[href]")[:_MAX_BASES]
    base = next(filter(is_html, bases), None)
    if base is not None:
        href = attribute(base.attributes, "href")
        collector.links.base = sanitize(collector.links.absolute(href), URL)
    _walk(tree, collector)
    collector.settle()
    leads = find_leads(collector.code, collector.refresh, collector.forms, collector.links)
    written = tuple(_written(leads.markup, collector.links))
    return Reading(page_of(collector, leads, written), collector.icon)


def _written(markup: Iterable[str], links: Links) -> Iterator[FormDraft]:
    """Yield the forms that scripts write, and inputs without one where a password is asked for.

    Libraries write inputs to see what the browser makes of them, but none for a password.
    """
    for text in markup:
        if find_obstacle(text):
            continue
        found = Collector(links)
        emptied, is_sure = without_noscript(text)
        # Where it is not certain, what may be hidden is taken for shown.
        _walk(LexborHTMLParser(emptied if is_sure else text), found)
        found.settle()
        yield from found.forms
        if found.stray.has_password:
            yield found.stray


@dataclass(frozen=True, slots=True)
class _Place:
    """What an element is inside of."""

    scope: Scope
    owner: FormDraft | None = None
    space: Space = Space.HTML
    is_read: bool = True


def _walk(tree: LexborHTMLParser, collector: Collector) -> None:
    """Visit every node in document order, without recursion."""
    first = tree.root
    while first is not None and first.prev is not None:
        first = first.prev
    stack: list[tuple[LexborNode | None, _Place]] = [(first, _Place(collector.scopes[0]))]
    while stack:
        node, place = stack.pop()
        if node is None:
            continue
        inner = place
        if node.is_text_node and place.is_read:
            collector.text(node.text(deep=False) or "")
        elif node.is_comment_node:
            collector.comment(node.comment_content or "")
        elif node.is_element_node:
            inner = _enter(node, place, collector)
        is_empty_form = node.tag == "form" and node.child is None and _is_in_table(node)
        stack.append((node.next, replace(place, owner=inner.owner) if is_empty_form else place))
        stack.append((node.child, inner))
        shadow = _shadow(node, place) if node.tag == "template" else None
        if shadow is not None:
            stack.append((shadow, _shadow_place(collector, place)))


def _enter(node: LexborNode, place: _Place, collector: Collector) -> _Place:
    """Take in an element; return the place that its children are in."""
    tag = node.tag or ""
    own = own_space(place.space, tag)
    owner = place.owner
    if own is Space.HTML:
        owner = collector.element(node, tag, owner, place.scope)
        if tag not in UNREAD and own is place.space and owner is place.owner:
            return place
    elif own is Space.SVG:
        collector.drawing(node, tag)
    attributes = {} if own is Space.HTML else node.attributes
    is_read = place.is_read and tag not in UNREAD
    return _Place(place.scope, owner, inner_space(own, tag, attributes), is_read)


def _shadow(node: LexborNode, place: _Place) -> LexborNode | None:
    """Return the first node of the shadow tree that a template makes, if it makes one."""
    mode = attribute(node.attributes, "shadowrootmode").lower()
    host = node.parent
    if mode not in {"open", "closed"} or host is None or place.space is not Space.HTML:
        return None
    name = host.tag or ""
    if (name not in _HOSTS and "-" not in name) or place.scope.depth >= _MAX_SHADOWS:
        return None
    fragments = node.template_fragments()
    return fragments[0].child if fragments else None


def _shadow_place(collector: Collector, place: _Place) -> _Place:
    scope = Scope(place.scope.depth + 1)
    collector.scopes.append(scope)
    return _Place(scope, None, Space.HTML, place.is_read)


def _is_in_table(node: LexborNode) -> bool:
    parent = node.parent
    return parent is not None and parent.tag in _TABLE_PARTS
