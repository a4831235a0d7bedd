"""Collects where a page leads by itself: its refreshes, its scripts and the forms they send."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser

from fetcher.page.onward import Move, Scripts
from fetcher.page.reading import (
    MAX_LEAD,
    Attributes,
    Element,
    FormDraft,
    Links,
    attribute,
    is_same,
    meta_refresh,
    refreshed,
)
from fetcher.sanitize import sanitize
from safeurl.model.report import MetaRefresh, Onward

_MAX_ONWARD = 16
_MAX_MARKUP = 16
#: Types of scripts that browsers run (HTML and MIME Sniffing standards, the usual ones).
_TYPES = frozenset(
    {
        *("", "module", "text/javascript", "application/javascript", "text/ecmascript"),
        *(
            "application/x-javascript",
            "application/ecmascript",
            "text/jscript",
            "text/x-javascript",
        ),
    }
)
#: Elements that load something, and may run a script then.
_LOADING = frozenset(
    {
        *("body", "frameset", "iframe", "frame", "img", "svg", "link", "style", "script", "input"),
        *("object", "embed", "video", "audio", "track", "source"),
    }
)
_LOAD_HANDLERS = ("onload", "onpageshow", "onerror")


@dataclass(slots=True)
class Code:
    """The scripts of a page that run while it loads, in their order."""

    scripts: list[str] = field(default_factory=list)
    #: What `onload` attributes say: it runs after all scripts.
    handlers: list[str] = field(default_factory=list)
    #: Where links lead, by their id.
    links: dict[str, str] = field(default_factory=dict)

    def script(self, attributes: Attributes, text: str) -> None:
        """Take in an element `script` without a source."""
        kind = attribute(attributes, "type").partition(";")[0].strip().lower()
        if kind in _TYPES and text:
            self.scripts.append(text)

    def handle(self, tag: str, node: Element) -> None:
        """Take in the attributes of an element that run by themselves."""
        if tag == "a" and node.id:
            self.links.setdefault(node.id, attribute(node.attributes, "href"))
        attributes = node.attributes if tag in _LOADING else {}
        self.handlers += filter(None, (attribute(attributes, name) for name in _LOAD_HANDLERS))

    def frame(self, source: str) -> None:
        """Take in a frame's source where it is a script."""
        scheme, colon, code = source.partition(":")
        if colon and scheme.strip().lower() == "javascript":
            self.scripts.append(code)


@dataclass(frozen=True, slots=True)
class Leads:
    """What a page does by itself."""

    #: Where it leads; not where it only loads itself again.
    onward: tuple[Onward, ...]
    #: HTML that its scripts write into it.
    markup: tuple[str, ...]
    #: Whether its scripts were not read to their end.
    is_cut: bool = False


def find_leads(
    code: Code, refresh: MetaRefresh | None, forms: Sequence[FormDraft], links: Links
) -> Leads:
    """Return what the page does by itself, without running it."""
    reader = Scripts(links.page_url, links=code.links)
    reader.read(*code.scripts, *code.handlers)
    written, refreshes = _written(reader, links)
    reader.read(*written)
    found: dict[Onward, None] = {}
    for each in filter(None, (refresh, *refreshes)):
        found.update(dict.fromkeys(refreshed(each, links.page_url, "meta_refresh")))
    for move in reader.moves:
        found.update(dict.fromkeys(_moved(move, forms, links)))
    markup = dict.fromkeys((*reader.written[:_MAX_MARKUP], *reader.inserted[:_MAX_MARKUP]))
    return Leads(tuple(found)[:_MAX_ONWARD], tuple(markup), reader.is_cut)


def _written(reader: Scripts, links: Links) -> tuple[list[str], list[MetaRefresh]]:
    """Return the scripts and refreshes in what scripts write while the page is parsed."""
    code, refreshes = Code(), []
    for markup in reader.written[:_MAX_MARKUP]:
        for node in LexborHTMLParser(markup).css("meta[http-equiv], script, body[onload]"):
            attributes = node.attributes
            if node.tag == "script":
                code.script(attributes, node.text(deep=True))
            elif node.tag == "body":
                code.handle("body", node)
            elif attribute(attributes, "http-equiv").lower() == "refresh":
                found = meta_refresh(attribute(attributes, "content"), links)
                refreshes += [found] if found else []
    return [*code.scripts, *code.handlers], refreshes


def _moved(move: Move, forms: Sequence[FormDraft], links: Links) -> Iterator[Onward]:
    """Yield where a script leads; a form may be sent to the page's own URL as well."""
    if move.is_form:
        url = links.absolute(move.url) if move.url else _target(move.form, forms, links)
        yield _lead(move, "form", url)
        return
    url = links.absolute(move.url) if move.url else ""
    if url and (is_same(url, links.page_url) or not url.startswith(("http://", "https://"))):
        return
    yield _lead(move, "script", url)


def _lead(move: Move, how: str, url: str) -> Onward:
    return Onward(
        url=sanitize(url, MAX_LEAD), how=how, delay_s=move.delay_s, conditional=move.is_conditional
    )


def _target(wanted: str | int, forms: Sequence[FormDraft], links: Links) -> str:
    """Return where the form goes that a script sends; the first one's where it is not known."""
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
    action = attribute(form.attributes, "action").strip()
    return links.absolute(action) if action else links.page_url
