"""The evidence for the rules: parsed once, with the facts that several rules need."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from safeurl.analysis import forms
from safeurl.analysis.brands import Brand, Naming, named_in, owner_of
from safeurl.analysis.data import words
from safeurl.analysis.site import Site, site_of
from safeurl.analysis.target import Target, split
from safeurl.analysis.text import fold
from safeurl.model.report import Evidence, Form, Hop, Page

#: The most hops that are read. The fetcher follows ten redirects; a forged report may have more.
MAX_HOPS = 24


@dataclass(frozen=True)
class Step:
    """A URL on the way to the page, with its place in the evidence."""

    pointer: str
    target: Target
    site: Site
    owner: Brand | None
    #: The host is a company's name on a service where brands have their own portals.
    is_tenant: bool


class Context:
    """One attempt's evidence, read only. `seen_at` is the time of the fetch, if known."""

    def __init__(
        self, evidence: Evidence, url: str, seen_at: datetime | None, submitted: str = ""
    ) -> None:
        """Store the evidence; all other facts are computed when they are first used.

        `submitted` is the URL as the user wrote it, `url` the URL that was opened.
        """
        self.evidence = evidence
        self.page = evidence.page or Page()
        self.seen_at = seen_at
        self._url = url
        self._submitted = submitted

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return the submitted URL and every hop; there is always one."""
        hops = self.evidence.hops[:MAX_HOPS]
        seen = tuple(_step(f"/hops/{i}/url", hop.url) for i, hop in enumerate(hops))
        return seen if hops and hops[0].url == self._url else (_step("", self._url), *seen)

    @property
    def written(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield each URL as it was written, before credentials were removed.

        Each comes with its place in the evidence, and with the URL that it is relative to.
        """
        yield "", self._submitted, None
        for i, hop in enumerate(self.evidence.hops[:MAX_HOPS]):
            if hop.location is not None:
                yield f"/hops/{i}/location", hop.location, hop.url

    @property
    def start(self) -> Step:
        """Return the submitted URL."""
        return self.steps[0]

    @cached_property
    def final(self) -> Step:
        """Return the URL of the page."""
        return self.steps[-1]

    @property
    def final_hop(self) -> Hop | None:
        """Return the hop with the page's response, if there is one."""
        hops = self.evidence.hops[:MAX_HOPS]
        return hops[-1] if hops else None

    @property
    def final_hop_pointer(self) -> str:
        """Return the place of the final hop in the evidence."""
        return self.final.pointer.removesuffix("/url")

    @cached_property
    def hosts(self) -> tuple[Step, ...]:
        """Return the first step on each host whose name may imitate a brand, the final one first.

        Addresses have no name, and on a tenant's host the name is the tenant's own.
        """
        first: dict[str, Step] = {}
        for step in (self.final, *self.steps):
            first.setdefault(step.target.host, step)
        return tuple(
            step
            for host, step in first.items()
            if host and not (step.site.is_address or step.is_tenant)
        )

    @cached_property
    def title(self) -> str:
        """Return the title, folded."""
        return fold(self.page.title)

    @cached_property
    def text(self) -> str:
        """Return the start of the page's text, folded."""
        return fold(self.page.text)

    @cached_property
    def named(self) -> Naming | None:
        """Return the brand in the title, if the page is not on a host of this brand."""
        found = named_in(self.title) if self.title else None
        if found is None or self.final.is_tenant or found.brand is self.final.owner:
            return None
        return found

    @cached_property
    def logins(self) -> tuple[tuple[str, Form], ...]:
        """Return the forms that ask for a password, each with its pointer."""
        return tuple((p, f) for p, f in self.forms if forms.asks_password(f))

    @cached_property
    def cards(self) -> tuple[tuple[str, Form], ...]:
        """Return the forms that ask for a card's number and its security code."""
        return tuple((p, f) for p, f in self.forms if forms.asks_card(f))

    @property
    def secret_forms(self) -> tuple[tuple[str, Form], ...]:
        """Return the forms that ask for a password or a card."""
        return self.logins + self.cards

    @cached_property
    def forms(self) -> tuple[tuple[str, Form], ...]:
        """Return every form with its pointer."""
        return tuple((f"/page/forms/{i}", form) for i, form in enumerate(self.page.forms))

    @cached_property
    def headers(self) -> dict[str, str]:
        """Return the final response's headers by lower-case name; of equal names, the last one."""
        hop = self.final_hop
        return {name.lower(): value for name, value in hop.headers} if hop else {}


def _step(pointer: str, url: str) -> Step:
    target = split(url)
    site = site_of(target.host)
    labels = target.host.split(".")
    parents = {".".join(labels[i:]) for i in range(1, len(labels))}
    is_tenant = not parents.isdisjoint(words("tenants.txt"))
    return Step(pointer, target, site, owner_of(target.host, site), is_tenant)
