"""Reads a page through a real HTML parser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from fetcher.clean import LONG, URL, clean, fold
from fetcher.page.reading import Attributes, FormDraft, Links, Reading, attribute, meta_refresh
from safeurl.report import Iframe, Link, MetaRefresh, Page, Script

_MAX_TEXT = 8192
_MAX_LINKS = 512
_MAX_SCRIPTS = 256
_MAX_FORMS = 64
_MAX_IFRAMES = 64
_MAX_ICON = 400 * 1024

_INPUTS = frozenset({"input", "select", "textarea", "button"})
#: What the reader of a page does not see as its text.
_UNREAD = frozenset({"script", "style", "noscript", "template", "title", "textarea", "option"})
#: Inside these the parser leaves a form empty; what follows it is its content.
_TABLE_PARTS = frozenset({"table", "thead", "tbody", "tfoot", "tr"})
_NULL_LINK = re.compile(r"#?!?\Z|javascript:|about:blank", re.IGNORECASE)
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden|opacity:0(?![.\d])|(?:width|height):[01](?:px)?(?![.\d])",
    re.IGNORECASE,
)
_SAVER_MARK = re.compile(r"saved from url|singlefile|httrack|mirrored from", re.IGNORECASE)


@dataclass(slots=True)
class _Collector:
    """Takes in one element after the other, in the order of the document."""

    links: Links
    title: str = ""
    language: str = ""
    metas: dict[str, str] = field(default_factory=dict)
    canonical: str = ""
    icon: str = ""
    refresh: MetaRefresh | None = None
    saver_mark: str = ""
    forms: list[FormDraft] = field(default_factory=list)
    by_id: dict[str, FormDraft] = field(default_factory=dict)
    #: Inputs outside any form: pages that send by script have those.
    stray: FormDraft = field(default_factory=lambda: FormDraft({}))
    anchors: list[Link] = field(default_factory=list)
    links_total: int = 0
    links_null: int = 0
    scripts: list[Script] = field(default_factory=list)
    scripts_total: int = 0
    iframes: list[Iframe] = field(default_factory=list)
    iframes_total: int = 0
    texts: list[str] = field(default_factory=list)
    text_room: int = _MAX_TEXT * 2

    def element(self, node: LexborNode, tag: str, owner: FormDraft | None) -> FormDraft | None:
        """Take in an element; return the form that its children belong to."""
        if tag == "form":
            return self._form(node)
        if tag in _INPUTS:
            self._input(tag, node.attributes, owner)
        elif tag in {"a", "area"}:
            self._anchor(node)
        elif tag == "script":
            self._script(node)
        elif tag in {"iframe", "frame"}:
            self._iframe(node.attributes)
        elif tag == "meta":
            self._meta(node.attributes)
        elif tag == "link":
            self._link(node.attributes)
        elif tag == "title" and not self.title:
            self.title = fold(node.text(deep=True), LONG)
        elif tag == "html" and not self.language:
            self.language = fold(attribute(node.attributes, "lang"))
        return owner

    def text(self, text: str) -> None:
        """Take in visible text until there is enough."""
        if self.text_room > 0 and not text.isspace():
            self.texts.append(text[: self.text_room])
            self.text_room -= len(text)

    def comment(self, text: str) -> None:
        """Look for what page savers leave behind."""
        if not self.saver_mark and _SAVER_MARK.search(text[:2048]):
            self.saver_mark = fold(text)

    def _form(self, node: LexborNode) -> FormDraft:
        attributes = node.attributes
        draft = FormDraft(attributes)
        self.forms.append(draft)
        self.by_id.setdefault(attribute(attributes, "id"), draft)
        return draft

    def _input(self, tag: str, attributes: Attributes, owner: FormDraft | None) -> None:
        named = self.by_id.get(attribute(attributes, "form")) if "form" in attributes else None
        (named or owner or self.stray).add(tag, attributes)

    def _anchor(self, node: LexborNode) -> None:
        attributes = node.attributes
        if "href" not in attributes:
            return
        self.links_total += 1
        href = attribute(attributes, "href").strip()
        if _NULL_LINK.match(href):
            self.links_null += 1
        elif len(self.anchors) < _MAX_LINKS:
            text = fold(node.text(deep=True, separator=" "))
            self.anchors.append(Link(url=self.links.absolute(href), text=text))

    def _script(self, node: LexborNode) -> None:
        self.scripts_total += 1
        if len(self.scripts) >= _MAX_SCRIPTS:
            return
        source = attribute(node.attributes, "src").strip()
        if source:
            self.scripts.append(Script(url=self.links.absolute(source)))
        else:
            size = len(node.text(deep=True).encode("utf-8", "replace"))
            self.scripts.append(Script(inline_bytes=size))

    def _iframe(self, attributes: Attributes) -> None:
        self.iframes_total += 1
        if len(self.iframes) >= _MAX_IFRAMES:
            return
        source = attribute(attributes, "src").strip()
        style = "".join(attribute(attributes, "style")[:4096].split())
        sizes = {attribute(attributes, name).strip() for name in ("width", "height")}
        hidden = "hidden" in attributes or bool(_HIDDEN_STYLE.search(style))
        self.iframes.append(
            Iframe(
                url=self.links.absolute(source) if source else "",
                hidden=hidden or not sizes.isdisjoint({"0", "1", "0px", "1px"}),
            )
        )

    def _meta(self, attributes: Attributes) -> None:
        content = attribute(attributes, "content")
        if attribute(attributes, "http-equiv").strip().lower() == "refresh":
            self.refresh = self.refresh or meta_refresh(content, self.links)
        name = attribute(attributes, "name") or attribute(attributes, "property")
        self.metas.setdefault(name.strip().lower()[:64], fold(content, LONG))

    def _link(self, attributes: Attributes) -> None:
        relations = attribute(attributes, "rel").lower().split()
        href = attribute(attributes, "href").strip()
        if "canonical" in relations and not self.canonical and href:
            self.canonical = self.links.absolute(href)
        if "icon" in relations and not self.icon and href:
            is_data = href[:5].lower() == "data:"
            self.icon = href[:_MAX_ICON] if is_data else self.links.absolute(href)

    def cut(self) -> str:
        """Return which lists are shorter than the page's, in words."""
        counts = (
            ("links", self.links_total - self.links_null, _MAX_LINKS),
            ("scripts", self.scripts_total, _MAX_SCRIPTS),
            ("frames", self.iframes_total, _MAX_IFRAMES),
            ("forms", len(self.forms), _MAX_FORMS),
        )
        cuts = [f"{cap} of {count} {name}" for name, count, cap in counts if count > cap]
        cuts += ["some form fields"] if any(form.dropped for form in self.forms) else []
        return f"Kept of long lists: {', '.join(cuts)}." if cuts else ""


def read_dom(text: str, page_url: str) -> Reading:
    """Parse the text and return what it says."""
    tree = LexborHTMLParser(text)
    collector = _Collector(Links(page_url))
    base = tree.css_first("base[href]")
    if base is not None:
        href = attribute(base.attributes, "href")
        collector.links.base = clean(collector.links.absolute(href), URL)
    _walk(tree, collector)
    return Reading(_page(collector), collector.icon)


def _walk(tree: LexborHTMLParser, collector: _Collector) -> None:
    """Visit every node in document order, without recursion."""
    first = tree.root
    while first is not None and first.prev is not None:
        first = first.prev
    stack: list[tuple[LexborNode | None, FormDraft | None, bool]] = [(first, None, True)]
    while stack:
        node, owner, is_read = stack.pop()
        if node is None:
            continue
        tag = node.tag or ""
        inner = owner
        if node.is_text_node and is_read:
            collector.text(node.text(deep=False) or "")
        elif node.is_comment_node:
            collector.comment(node.comment_content or "")
        elif node.is_element_node:
            inner = collector.element(node, tag, owner)
        is_empty_form = tag == "form" and node.child is None and _is_in_table(node)
        stack.append((node.next, inner if is_empty_form else owner, is_read))
        stack.append((node.child, inner, is_read and tag not in _UNREAD))


def _is_in_table(node: LexborNode) -> bool:
    parent = node.parent
    return parent is not None and parent.tag in _TABLE_PARTS


def _drafts(collector: _Collector) -> Iterator[FormDraft]:
    yield from collector.forms[:_MAX_FORMS]
    if collector.stray.fields and len(collector.forms) < _MAX_FORMS:
        yield collector.stray


def _page(found: _Collector) -> Page:
    description = found.metas.get("description") or found.metas.get("og:description", "")
    return Page(
        title=found.title,
        description=description,
        canonical=found.canonical,
        language=found.language,
        generator=fold(found.metas.get("generator", "")),
        text=fold(" ".join(found.texts), _MAX_TEXT),
        forms=tuple(draft.form(found.links) for draft in _drafts(found)),
        links=tuple(found.anchors),
        links_total=found.links_total,
        links_null=found.links_null,
        scripts=tuple(found.scripts),
        iframes=tuple(found.iframes),
        meta_refresh=found.refresh,
        saver_mark=found.saver_mark,
        partial=found.cut(),
    )
