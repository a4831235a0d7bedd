"""Parses an HTML page with the lexbor parser."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from selectolax.lexbor import LexborHTMLParser, LexborNode

from fetcher.page.collector import Collector, Scope, build_page
from fetcher.page.elements import PageElements
from fetcher.page.evidence import FormDraft, LinkResolver, ParsedPage, attribute
from fetcher.page.foreign import Namespace, content_namespace, element_namespace, is_html
from fetcher.page.navigation import find_navigation, is_read_whole
from fetcher.page.noscript import without_noscript
from fetcher.page.prescan import find_exceeded_limit
from fetcher.sanitize import URL, sanitize

#: Maximum number of `base` elements that are examined.
_MAX_BASES = 16
#: Maximum depth of nested shadow trees.
_MAX_SHADOWS = 16
#: Elements whose content is not part of the visible text.
HIDDEN_ELEMENTS = frozenset(
    {"script", "style", "noscript", "template", "title", "textarea", "option"}
)
#: Inside these elements the parser leaves a form empty and puts its content after it.
_TABLE_PARTS = frozenset({"table", "thead", "tbody", "tfoot", "tr"})
#: Elements that can have a shadow tree, besides custom elements (DOM standard).
_HOSTS = frozenset(
    {
        *("article", "aside", "blockquote", "body", "div", "footer", "header", "main", "nav", "p"),
        *("section", "span", "h1", "h2", "h3", "h4", "h5", "h6"),
    }
)


def read_dom(text: str, page_url: str) -> ParsedPage:
    """Parse the text and return the page's evidence."""
    tree = LexborHTMLParser(text)
    collector = Collector(LinkResolver(page_url))
    bases = tree.css("base[href]")[:_MAX_BASES]
    base = next(filter(is_html, bases), None)
    if base is not None:
        href = attribute(base.attributes, "href")
        collector.links.base = sanitize(collector.links.absolute(href), URL)
    _collect(tree, collector)
    collector.assign_inputs()
    navigation = find_navigation(
        collector.code,
        collector.refresh,
        collector.forms,
        collector.links,
        PageElements(tree, text.count("<")),
    )
    written: list[FormDraft] = []
    if not is_read_whole(lambda: _add_written(navigation.markup, collector.links, written)):
        navigation = replace(navigation, is_truncated=True)
    return ParsedPage(build_page(collector, navigation, written), collector.icon)


def _add_written(markup: Iterable[str], links: LinkResolver, written: list[FormDraft]) -> None:
    """Add the forms that scripts write, and inputs without a form if one is a password field.

    Libraries write other inputs without a form to test features of the browser.
    """
    for text in markup:
        if find_exceeded_limit(text):
            continue
        found = Collector(links)
        emptied, is_certain = without_noscript(text)
        # If noscript is uncertain, possibly hidden content is treated as visible.
        _collect(LexborHTMLParser(emptied if is_certain else text), found)
        found.assign_inputs()
        written += found.forms
        if found.stray.has_password:
            written.append(found.stray)


class _Context(Struct, frozen=True):
    """The context in which an element occurs."""

    scope: Scope
    owner: FormDraft | None = None
    namespace: Namespace = Namespace.HTML
    is_visible: bool = True


def _collect(tree: LexborHTMLParser, collector: Collector) -> None:
    """Visit every node in document order, without recursion."""
    first = tree.root
    while first is not None and first.prev is not None:
        first = first.prev
    stack: list[tuple[LexborNode | None, _Context]] = [(first, _Context(collector.scopes[0]))]
    while stack:
        node, context = stack.pop()
        if node is None:
            continue
        inner = context
        if node.is_text_node and context.is_visible:
            collector.add_text(node.text(deep=False) or "")
        elif node.is_comment_node:
            collector.add_comment(node.comment_content or "")
        elif node.is_element_node:
            inner = _add_element(node, context, collector)
        is_empty_form = node.tag == "form" and node.child is None and _is_in_table(node)
        stack.append((node.next, replace(context, owner=inner.owner) if is_empty_form else context))
        stack.append((node.child, inner))
        shadow_root = _shadow_root(node, context) if node.tag == "template" else None
        if shadow_root is not None:
            stack.append((shadow_root, _shadow_context(collector, context)))


def _add_element(node: LexborNode, context: _Context, collector: Collector) -> _Context:
    """Add an element; return the context of its children."""
    tag = node.tag or ""
    namespace = element_namespace(context.namespace, tag)
    owner = context.owner
    if namespace is Namespace.HTML:
        owner = collector.add_element(node, tag, owner, context.scope)
        if tag not in HIDDEN_ELEMENTS and namespace is context.namespace and owner is context.owner:
            return context
    elif namespace is Namespace.SVG:
        collector.add_svg_element(node, tag)
    attributes = {} if namespace is Namespace.HTML else node.attributes
    is_visible = context.is_visible and tag not in HIDDEN_ELEMENTS
    return _Context(context.scope, owner, content_namespace(namespace, tag, attributes), is_visible)


def _shadow_root(node: LexborNode, context: _Context) -> LexborNode | None:
    """Return the first node of the shadow tree that a template creates; None if it creates none."""
    mode = attribute(node.attributes, "shadowrootmode").lower()
    host = node.parent
    if mode not in {"open", "closed"} or host is None or context.namespace is not Namespace.HTML:
        return None
    name = host.tag or ""
    if (name not in _HOSTS and "-" not in name) or context.scope.depth >= _MAX_SHADOWS:
        return None
    fragments = node.template_fragments()
    return fragments[0].child if fragments else None


def _shadow_context(collector: Collector, context: _Context) -> _Context:
    scope = Scope(context.scope.depth + 1)
    collector.scopes.append(scope)
    return _Context(scope, None, Namespace.HTML, context.is_visible)


def _is_in_table(node: LexborNode) -> bool:
    parent = node.parent
    return parent is not None and parent.tag in _TABLE_PARTS
