"""Collects the navigations of a page that need no input: refreshes, scripts, submitted forms."""

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from msgspec import Struct, field
from selectolax.lexbor import LexborHTMLParser

from fetcher.page.evidence import (
    MAX_ONWARD_URL,
    Attributes,
    Element,
    FormDraft,
    LinkResolver,
    attribute,
    is_same_document,
    meta_refresh,
    refresh_targets,
)
from fetcher.page.script.reader import ScriptNavigation, ScriptReader
from fetcher.sanitize import HTML_SPACES, sanitize, strip_reference
from safeurl.model.report import MetaRefresh, Onward

_MAX_ONWARD = 16
_MAX_MARKUP = 16
#: Types of scripts that browsers execute: modules and the JavaScript types of the MIME Sniffing
#: standard.
_TYPES = frozenset(
    {
        *("module", "text/jscript", "text/livescript"),
        *(
            f"{kind}/{x}{name}"
            for kind in ("text", "application")
            for x in ("", "x-")
            for name in ("javascript", "ecmascript")
        ),
        *(f"text/javascript1.{version}" for version in range(6)),
    }
)
#: Elements that load a resource and may run a load handler.
_LOADING = frozenset(
    {
        *("body", "frameset", "iframe", "frame", "img", "svg", "link", "style", "script", "input"),
        *("object", "embed", "video", "audio", "track", "source"),
    }
)
_LOAD_HANDLERS = ("onload", "onpageshow", "onerror", "onloadstart")
#: Handlers of animations that start by themselves.
_ANIMATION_HANDLERS = ("onanimationstart", "onanimationend", "onbegin", "onend")
#: Selects the elements in markup of scripts that may have handlers of these kinds.
_WITH_HANDLERS = ", ".join(
    f"[{name}]" for name in (*_LOAD_HANDLERS, *_ANIMATION_HANDLERS, "onfocus", "ontoggle")
)


class PageScripts(Struct):
    """The scripts of a page that run while it loads, in their order."""

    scripts: list[str] = field(default_factory=list)
    #: Code of `onload` attributes; it runs after all scripts.
    handlers: list[str] = field(default_factory=list)
    #: Targets of links by id.
    links: dict[str, str] = field(default_factory=dict)

    def add_script(self, attributes: Attributes, text: str) -> None:
        """Add a `script` element without a source."""
        # Chromium also removes the vertical tab here.
        kind = attribute(attributes, "type").strip(f"{HTML_SPACES}\v").lower()
        if not kind:
            language = "" if "type" in attributes else attribute(attributes, "language").lower()
            kind = f"text/{language or 'javascript'}"
        if kind in _TYPES and text:
            self.scripts.append(text)

    def add_handlers(self, tag: str, node: Element) -> None:
        """Add the event handlers of an element that run without input."""
        if tag == "a" and node.id:
            self.links.setdefault(node.id, attribute(node.attributes, "href"))
        attributes = node.attributes
        if not attributes:
            return
        names = [*_ANIMATION_HANDLERS, *(_LOAD_HANDLERS if tag in _LOADING else ())]
        names += ["onfocus"] if "autofocus" in attributes else []
        names += ["ontoggle"] if tag == "details" and "open" in attributes else []
        self.handlers += filter(None, (attribute(attributes, name) for name in names))

    def add_frame(self, source: str) -> None:
        """Add the source of a frame if it is a script."""
        scheme, colon, code = strip_reference(source).partition(":")
        if colon and scheme.lower() == "javascript":
            self.scripts.append(unquote(code))


class PageNavigation(Struct, frozen=True):
    """The navigations of a page that need no input."""

    #: The destinations, without reloads of the page itself.
    onward: tuple[Onward, ...]
    #: HTML that the scripts write into the page.
    markup: tuple[str, ...]
    #: True if the scripts were not read to their end.
    is_truncated: bool = False


def find_navigation(
    code: PageScripts, refresh: MetaRefresh | None, forms: Sequence[FormDraft], links: LinkResolver
) -> PageNavigation:
    """Return the navigations of the page, without executing it."""
    reader = ScriptReader(links.page_url, links=code.links)
    reader.read(*code.scripts, *code.handlers)
    written, refreshes = _written(reader, links)
    reader.read(*written)
    found: dict[Onward, None] = {}
    for each in filter(None, (refresh, *refreshes)):
        found.update(dict.fromkeys(refresh_targets(each, links.page_url, "meta_refresh")))
    for navigation in reader.navigations:
        found.update(dict.fromkeys(_script_navigation(navigation, forms, links)))
    markup = dict.fromkeys((*reader.written[:_MAX_MARKUP], *reader.inserted[:_MAX_MARKUP]))
    return PageNavigation(tuple(found)[:_MAX_ONWARD], tuple(markup), reader.is_truncated)


def _written(reader: ScriptReader, links: LinkResolver) -> tuple[list[str], list[MetaRefresh]]:
    """Return the scripts, handlers and refreshes in the HTML that scripts write or insert.

    Scripts run only in HTML that is written during parsing.
    """
    code, refreshes = PageScripts(), []
    written = dict.fromkeys(reader.written[:_MAX_MARKUP], True)
    inserted = dict.fromkeys(reader.inserted[:_MAX_MARKUP], False)
    for markup, runs_scripts in (inserted | written).items():
        for node in LexborHTMLParser(markup).css(f"meta[http-equiv], script, {_WITH_HANDLERS}"):
            attributes, tag = node.attributes, node.tag or ""
            if tag == "script" and runs_scripts:
                code.add_script(attributes, node.text(deep=True))
            elif tag == "meta" and attribute(attributes, "http-equiv").lower() == "refresh":
                found = meta_refresh(attribute(attributes, "content"), links)
                refreshes += [found] if found else []
            elif tag != "script":
                code.add_handlers(tag, node)
    return [*code.scripts, *code.handlers], refreshes


def _script_navigation(
    navigation: ScriptNavigation, forms: Sequence[FormDraft], links: LinkResolver
) -> Iterator[Onward]:
    """Yield the destination of a script's navigation; for a form it may be the page's own URL."""
    if navigation.is_form:
        url = (
            links.absolute(navigation.url)
            if navigation.url
            else _target(navigation.form, forms, links)
        )
        yield _onward(navigation, "form", url)
        return
    url = links.absolute(navigation.url) if navigation.url else ""
    if url and (
        is_same_document(url, links.page_url) or not url.startswith(("http://", "https://"))
    ):
        return
    yield _onward(navigation, "script", url)


def _onward(navigation: ScriptNavigation, how: str, url: str) -> Onward:
    return Onward(
        url=sanitize(url, MAX_ONWARD_URL),
        how=how,
        delay_s=navigation.delay_s,
        conditional=navigation.is_conditional,
    )


def _target(wanted: str | int, forms: Sequence[FormDraft], links: LinkResolver) -> str:
    """Return the target of the form that a script submits; of the first form if it is unknown."""
    named = {
        attribute(form.attributes, name): form for form in forms[::-1] for name in ("name", "id")
    }
    form = forms[0] if forms else None
    if isinstance(wanted, int):
        form = forms[wanted] if wanted < len(forms) else form
    elif wanted:
        form = named.get(wanted, form)
    if form is None:
        return ""
    action = strip_reference(attribute(form.attributes, "action"))
    return links.absolute(action) if action else links.page_url
