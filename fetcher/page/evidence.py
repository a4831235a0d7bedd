"""Builds parts of a page's evidence, for the parsers and for the pattern search alike."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import ada_url
from msgspec import Struct, field

from fetcher.content.refresh import parse_refresh
from fetcher.sanitize import URL, sanitize, sanitize_line, strip_reference
from safeurl.model.report import Form, FormField, MetaRefresh, Onward, Page
from safeurl.url import origin

#: Attributes by lower-case name; the value of an attribute without a value is None.
Attributes = Mapping[str, str | None]

_MAX_FIELDS = 128
#: The maximum length of the report's `Form.targets`.
_MAX_TARGETS = 16
_MAX_DATA_URL = 256
#: Long enough to identify a URL; sixteen of them fit into one line of the report.
MAX_ONWARD_URL = 2048
_METHODS = frozenset({"get", "post", "dialog"})
_WEB = ("http://", "https://")


class ParsedPage(Struct, frozen=True):
    """The evidence of a page, and the absolute URL of its icon (`data:` URLs can be long)."""

    page: Page
    icon: str = ""


def attribute(attributes: Attributes, name: str) -> str:
    """Return the value of an attribute; empty if there is none."""
    return attributes.get(name) or ""


class Element(Protocol):
    """An element of any of the parsers."""

    @property
    def attributes(self) -> Attributes:
        """The attributes."""

    @property
    def id(self) -> str | None:
        """The id."""

    def text(self, deep: bool = True, separator: str = "") -> str:  # noqa: FBT001, FBT002 - lexbor's
        """Return the text; with the text of all descendants if `deep`."""


class LinkResolver(Struct):
    """Resolves references as the browser would on this page."""

    page_url: str
    base: str = ""

    def absolute(self, reference: str) -> str:
        """Return the absolute URL, or the reference itself if it cannot be resolved."""
        text = strip_reference(reference)
        if text[:5].lower() == "data:":
            return sanitize(text, _MAX_DATA_URL)
        try:
            return sanitize(ada_url.URL(text[:URL], self.base or self.page_url).href, URL)
        except ValueError:
            return sanitize(text, URL)

    def is_foreign(self, url: str) -> bool:
        """Return True if an absolute URL has another origin than the page."""
        return url.startswith(_WEB) and origin(url) != origin(self.page_url)


class FormDraft(Struct):
    """A form whose fields are being collected."""

    attributes: Attributes
    #: True for the collection of inputs outside of any form; no button sends these.
    is_stray: bool = False
    fields: list[FormField] = field(default_factory=list)
    has_password: bool = False
    #: The `formaction` values of the submit buttons.
    actions: list[str] = field(default_factory=list)
    #: Number of inputs and targets beyond the limits.
    dropped: int = 0

    def add(self, tag: str, attributes: Attributes) -> None:
        """Add an input, select, textarea or button."""
        default = {"input": "text", "button": "submit"}.get(tag, tag)
        # The text is made lower-case before its length is limited, because lower case can be
        # longer.
        given = attribute(attributes, "type").lower() if tag in {"input", "button"} else ""
        kind = sanitize_line(given)
        self.has_password = self.has_password or kind == "password"
        if "formaction" in attributes and not self.is_stray and _is_submitter(tag, kind):
            self._add_target(strip_reference(attribute(attributes, "formaction")))
        if len(self.fields) >= _MAX_FIELDS:
            self.dropped += 1
            return
        self.fields.append(
            FormField(
                name=sanitize_line(attribute(attributes, "name")),
                type=kind or default,
                placeholder=sanitize_line(attribute(attributes, "placeholder")),
            )
        )

    def _add_target(self, action: str) -> None:
        if action in self.actions:
            return
        if len(self.actions) < _MAX_TARGETS:
            self.actions.append(action)
        else:
            self.dropped += 1

    def form(self, links: LinkResolver) -> Form:
        """Return the evidence of the form."""
        action = strip_reference(attribute(self.attributes, "action"))
        url = links.absolute(action) if action else ""
        targets = {links.absolute(x) if x else links.page_url: None for x in self.actions}
        targets.pop(url, None)
        method = attribute(self.attributes, "method").lower()
        return Form(
            action=url,
            targets=tuple(targets),
            method=method if method in _METHODS else "get",
            fields=tuple(self.fields),
            has_password=self.has_password,
            cross_origin=any(map(links.is_foreign, (url, *targets))),
        )


def _is_submitter(tag: str, kind: str) -> bool:
    """Return True if pressing the input or button submits the form."""
    if tag == "button":
        return kind not in {"button", "reset"}
    return tag == "input" and kind in {"submit", "image"}


def meta_refresh(content: str, links: LinkResolver) -> MetaRefresh | None:
    """Parse the content of a `<meta http-equiv=refresh>`."""
    refresh = parse_refresh(content)
    if refresh is None:
        return None
    return MetaRefresh(
        delay_s=refresh.delay_s, url=links.absolute(refresh.url) if refresh.url else ""
    )


def earlier_refresh(first: MetaRefresh | None, later: MetaRefresh | None) -> MetaRefresh | None:
    """Return the refresh that Chromium executes: the earlier one, or the second of equal ones."""
    if first is None or later is None:
        return first or later
    return later if later.delay_s <= first.delay_s else first


def refresh_targets(refresh: MetaRefresh | None, page_url: str, how: str) -> Iterator[Onward]:
    """Yield the target of a refresh, unless it is the page itself."""
    if refresh is not None and refresh.url and not is_same_document(refresh.url, page_url):
        yield Onward(url=sanitize(refresh.url, MAX_ONWARD_URL), how=how, delay_s=refresh.delay_s)


def is_same_document(url: str, page_url: str) -> bool:
    """Return True if two URLs are equal except for the fragment."""
    return url.partition("#")[0] == page_url.partition("#")[0]
