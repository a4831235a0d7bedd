"""Collects the elements of a page, from either parser, into the evidence of the page."""

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from fetcher.page.code import PageScripts
from fetcher.page.evidence import (
    Attributes,
    Element,
    FormDraft,
    LinkResolver,
    attribute,
    earlier_refresh,
    meta_refresh,
)
from fetcher.page.navigation import PageNavigation
from fetcher.sanitize import HTML_SPACES, LONG, sanitize_line, strip_reference
from safeurl.model.report import Iframe, Link, MetaRefresh, Page, Script

_MAX_TEXT = 8192
_MAX_LINKS = 512
_MAX_SCRIPTS = 256
_MAX_FORMS = 64
_MAX_IFRAMES = 64
_MAX_ICON = 400 * 1024
_INPUTS = frozenset({"input", "select", "textarea", "button"})
_NULL_LINK = re.compile(r"#?!?\Z|javascript:|about:blank", re.IGNORECASE)
_HIDDEN_STYLE = re.compile(
    r"display:none|visibility:hidden|opacity:0(?![.\d])|(?:width|height):[01](?:px)?(?![.\d])",
    re.IGNORECASE,
)
_WORDS = re.compile(rf"[^{HTML_SPACES}]++")
_SAVER_MARK = re.compile(r"saved from url|singlefile|httrack|mirrored from", re.IGNORECASE)


class Scope(Struct):
    """The document or a shadow tree; each has its own ids and its own form owners."""

    depth: int = 0
    #: The first element with each id; None if it is not a form.
    by_id: dict[str, FormDraft | None] = field(default_factory=dict)
    #: Inputs with a `form` attribute; that form may come later in the document.
    unassigned: list[tuple[str, Attributes, str]] = field(default_factory=list)


class Collector(Struct):
    """Collects elements one by one in document order."""

    links: LinkResolver
    #: The text of the first title, even if it is empty; None before there is one.
    title: str | None = None
    language: str = ""
    metas: dict[str, str] = field(default_factory=dict)
    canonical: str = ""
    icon: str = ""
    refresh: MetaRefresh | None = None
    code: PageScripts = field(default_factory=PageScripts)
    saver_mark: str = ""
    forms: list[FormDraft] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=lambda: [Scope()])
    #: Inputs outside of any form; pages that send by script have such inputs.
    stray: FormDraft = field(default_factory=lambda: FormDraft({}, is_stray=True))
    anchors: list[Link] = field(default_factory=list)
    links_total: int = 0
    links_null: int = 0
    scripts: list[Script] = field(default_factory=list)
    scripts_total: int = 0
    iframes: list[Iframe] = field(default_factory=list)
    iframes_total: int = 0
    texts: list[str] = field(default_factory=list)
    text_left: int = _MAX_TEXT * 2

    def add_element(
        self, node: Element, tag: str, owner: FormDraft | None, scope: Scope
    ) -> FormDraft | None:
        """Add an HTML element; return the form that its children belong to."""
        if tag == "form":
            owner = self._form(node)
        elif tag in _INPUTS:
            self._input(tag, node.attributes, owner, scope)
        elif tag in {"a", "area"}:
            self._anchor(node, node.attributes)
        elif tag == "script":
            self._script(node, attribute(node.attributes, "src"))
        elif tag in {"iframe", "frame"}:
            self._iframe(node.attributes)
        else:
            self._add_metadata(node, tag, scope)
        self.code.add_handlers(tag, node)
        if node.id:
            scope.by_id.setdefault(node.id, owner if tag == "form" else None)
        return owner

    def _add_metadata(self, node: Element, tag: str, scope: Scope) -> None:
        """Add an element with metadata of the page."""
        if tag == "meta":
            self._meta(node.attributes)
        elif tag == "link":
            self._link(node.attributes)
        elif tag == "title" and self.title is None and not scope.depth:
            self.title = sanitize_line(node.text(deep=True), LONG)
        elif tag == "html" and not self.language:
            self.language = sanitize_line(attribute(node.attributes, "lang"))

    def add_svg_element(self, node: Element, tag: str) -> None:
        """Add an SVG element; links and scripts also work in SVG."""
        attributes = node.attributes
        name = "href" if "href" in attributes else "xlink:href"
        if tag == "a":
            self._anchor(node, {"href": attributes[name]} if name in attributes else {})
        elif tag == "script":
            self._script(node, attribute(attributes, name))
        self.code.add_handlers(tag, node)
        if node.id:
            self.scopes[0].by_id.setdefault(node.id, None)

    def assign_inputs(self) -> None:
        """Assign the inputs with a `form` attribute to their forms."""
        for scope in self.scopes:
            for tag, attributes, name in scope.unassigned:
                (scope.by_id.get(name) or self.stray).add(tag, attributes)

    def add_text(self, text: str) -> None:
        """Add visible text, up to a limit."""
        if self.text_left > 0 and not text.isspace():
            self.texts.append(text[: self.text_left])
            self.text_left -= len(text)

    def add_comment(self, text: str) -> None:
        """Record the mark that page savers leave in a comment."""
        if not self.saver_mark and _SAVER_MARK.search(text[:2048]):
            self.saver_mark = sanitize_line(text)

    def _form(self, node: Element) -> FormDraft:
        draft = FormDraft(node.attributes)
        self.forms.append(draft)
        return draft

    def _input(
        self, tag: str, attributes: Attributes, owner: FormDraft | None, scope: Scope
    ) -> None:
        if "form" in attributes:
            scope.unassigned.append((tag, attributes, attribute(attributes, "form")))
        else:
            (owner or self.stray).add(tag, attributes)

    def _anchor(self, node: Element, attributes: Attributes) -> None:
        if "href" not in attributes:
            return
        self.links_total += 1
        href = strip_reference(attribute(attributes, "href"))
        if _NULL_LINK.match(href):
            self.links_null += 1
        elif len(self.anchors) < _MAX_LINKS:
            text = sanitize_line(node.text(deep=True, separator=" "))
            self.anchors.append(Link(url=self.links.absolute(href), text=text))

    def _script(self, node: Element, reference: str) -> None:
        self.scripts_total += 1
        source = strip_reference(reference)
        text = "" if source else node.text(deep=True)
        self.code.add_script(node.attributes, text, reference if source else "")
        if len(self.scripts) < _MAX_SCRIPTS:
            url = self.links.absolute(source) if source else ""
            size = len(text.encode("utf-8", "replace"))
            self.scripts.append(Script(url=url, inline_bytes=size))

    def _iframe(self, attributes: Attributes) -> None:
        self.iframes_total += 1
        self.code.add_frame(attributes)
        if len(self.iframes) >= _MAX_IFRAMES:
            return
        source = strip_reference(attribute(attributes, "src"))
        style = "".join(_WORDS.findall(attribute(attributes, "style")[:4096]))
        sizes = {attribute(attributes, name).strip(HTML_SPACES) for name in ("width", "height")}
        hidden = "hidden" in attributes or bool(_HIDDEN_STYLE.search(style))
        self.iframes.append(
            Iframe(
                url=self.links.absolute(source) if source else "",
                hidden=hidden or not sizes.isdisjoint({"0", "1", "0px", "1px"}),
            )
        )

    def _meta(self, attributes: Attributes) -> None:
        content = attribute(attributes, "content")
        if attribute(attributes, "http-equiv").lower() == "refresh":
            self.refresh = earlier_refresh(self.refresh, meta_refresh(content, self.links))
        name = attribute(attributes, "name") or attribute(attributes, "property")
        self.metas.setdefault(name.strip(HTML_SPACES).lower()[:64], sanitize_line(content, LONG))

    def _link(self, attributes: Attributes) -> None:
        relations = _WORDS.findall(attribute(attributes, "rel").lower())
        href = strip_reference(attribute(attributes, "href"))
        if "canonical" in relations and not self.canonical and href:
            self.canonical = self.links.absolute(href)
        if "icon" in relations and not self.icon and href:
            is_data = href[:5].lower() == "data:"
            self.icon = href[:_MAX_ICON] if is_data else self.links.absolute(href)

    def truncation(self) -> str:
        """Return a sentence about the lists that were shortened; empty if there are none."""
        counts = (
            ("links", self.links_total - self.links_null, _MAX_LINKS),
            ("scripts", self.scripts_total, _MAX_SCRIPTS),
            ("frames", self.iframes_total, _MAX_IFRAMES),
            ("forms", len(self.forms), _MAX_FORMS),
        )
        cuts = [f"{cap} of {count} {name}" for name, count, cap in counts if count > cap]
        cuts += ["some form fields"] if any(form.dropped for form in self.forms) else []
        return f"Lists were shortened to {', '.join(cuts)}." if cuts else ""


def _drafts(collector: Collector) -> Iterator[FormDraft]:
    yield from collector.forms[:_MAX_FORMS]
    if collector.stray.fields and len(collector.forms) < _MAX_FORMS:
        yield collector.stray


def build_page(
    found: Collector, navigation: PageNavigation, written: Sequence[FormDraft] = ()
) -> Page:
    """Return the evidence of the page; `written` are the forms that its scripts write."""
    forms = [draft.form(found.links) for draft in _drafts(found)]
    forms += [replace(draft.form(found.links), by_script=True) for draft in written]
    description = found.metas.get("description") or found.metas.get("og:description", "")
    return Page(
        title=found.title or "",
        description=description,
        canonical=found.canonical,
        language=found.language,
        generator=sanitize_line(found.metas.get("generator", "")),
        text=sanitize_line(" ".join(found.texts), _MAX_TEXT),
        forms=tuple(forms[:_MAX_FORMS]),
        links=tuple(found.anchors),
        links_total=found.links_total,
        links_null=found.links_null,
        scripts=tuple(found.scripts),
        iframes=tuple(found.iframes),
        meta_refresh=found.refresh,
        onward=navigation.onward,
        saver_mark=found.saver_mark,
        partial=found.truncation(),
        scripts_cut=navigation.is_truncated,
    )
