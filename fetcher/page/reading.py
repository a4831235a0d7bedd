"""What is read from a page, built the same way by the parser and by its fallback."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import ada_url
from msgspec import Struct

from fetcher.content.refresh import parse_refresh
from fetcher.sanitize import URL, sanitize, sanitize_line, strip_reference
from safeurl.model.report import Form, FormField, MetaRefresh, Onward, Page
from safeurl.url import origin

#: Attributes by name, lower-case; an attribute without a value is None.
Attributes = Mapping[str, str | None]

_MAX_FIELDS = 128
#: As many as the report's `Form.targets` holds.
_MAX_TARGETS = 16
_MAX_DATA_URL = 256
#: Enough to see where a page leads; sixteen of them fit a line of the report.
MAX_LEAD = 2048
_METHODS = frozenset({"get", "post", "dialog"})
_WEB = ("http://", "https://")


class Reading(Struct, frozen=True):
    """A page's evidence, and its icon as an absolute URL (`data:` ones can be long)."""

    page: Page
    icon: str = ""


def attribute(attributes: Attributes, name: str) -> str:
    """Return an attribute's value, empty where there is none."""
    return attributes.get(name) or ""


class Element(Protocol):
    """An element, whichever parser made it."""

    @property
    def attributes(self) -> Attributes:
        """Return its attributes."""

    @property
    def id(self) -> str | None:
        """Return its id."""

    def text(self, deep: bool = True, separator: str = "") -> str:  # noqa: FBT001, FBT002 - lexbor's
        """Return its text, with that of the nodes inside of it where `deep`."""


@dataclass(slots=True)
class Links:
    """Makes references absolute, as the browser would on this page."""

    page_url: str
    base: str = ""

    def absolute(self, reference: str) -> str:
        """Return the absolute URL, or the text itself where it makes none."""
        text = strip_reference(reference)
        if text[:5].lower() == "data:":
            return sanitize(text, _MAX_DATA_URL)
        try:
            return sanitize(ada_url.URL(text[:URL], self.base or self.page_url).href, URL)
        except ValueError:
            return sanitize(text, URL)

    def is_foreign(self, url: str) -> bool:
        """Tell whether an absolute URL is of another origin than the page."""
        return url.startswith(_WEB) and origin(url) != origin(self.page_url)


@dataclass(slots=True)
class FormDraft:
    """A form while its fields are being found."""

    attributes: Attributes
    #: Whether it stands for inputs outside of any form, which no button sends.
    is_stray: bool = False
    fields: list[FormField] = field(default_factory=list)
    has_password: bool = False
    #: What the submitters' `formaction` say.
    actions: list[str] = field(default_factory=list)
    #: Inputs beyond the cap.
    dropped: int = 0

    def add(self, tag: str, attributes: Attributes) -> None:
        """Take in an input, select, textarea or button."""
        default = {"input": "text", "button": "submit"}.get(tag, tag)
        # Lower case first: it can be longer than what it was made of.
        given = attribute(attributes, "type").lower() if tag in {"input", "button"} else ""
        kind = sanitize_line(given)
        self.has_password = self.has_password or kind == "password"
        if "formaction" in attributes and not self.is_stray and _is_submitter(tag, kind):
            self._target(strip_reference(attribute(attributes, "formaction")))
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

    def _target(self, action: str) -> None:
        if action in self.actions:
            return
        if len(self.actions) < _MAX_TARGETS:
            self.actions.append(action)
        else:
            self.dropped += 1

    def form(self, links: Links) -> Form:
        """Return the evidence."""
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
    """Tell whether an input or button sends its form when it is pressed."""
    if tag == "button":
        return kind not in {"button", "reset"}
    return tag == "input" and kind in {"submit", "image"}


def meta_refresh(content: str, links: Links) -> MetaRefresh | None:
    """Read the content of a `<meta http-equiv=refresh>`."""
    refresh = parse_refresh(content)
    if refresh is None:
        return None
    return MetaRefresh(
        delay_s=refresh.delay_s, url=links.absolute(refresh.url) if refresh.url else ""
    )


def sooner(first: MetaRefresh | None, later: MetaRefresh | None) -> MetaRefresh | None:
    """Return which of two refreshes Chromium takes: the sooner one, the later of equals."""
    if first is None or later is None:
        return first or later
    return later if later.delay_s <= first.delay_s else first


def refreshed(refresh: MetaRefresh | None, page_url: str, how: str) -> Iterator[Onward]:
    """Yield where a refresh leads, if not to the page itself."""
    if refresh is not None and refresh.url and not is_same(refresh.url, page_url):
        yield Onward(url=sanitize(refresh.url, MAX_LEAD), how=how, delay_s=refresh.delay_s)


def is_same(url: str, page_url: str) -> bool:
    """Tell whether two URLs differ in their fragment at most."""
    return url.partition("#")[0] == page_url.partition("#")[0]
