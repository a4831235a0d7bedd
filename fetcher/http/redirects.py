"""Follows redirects by hand, judging each target before anything is sent to it."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import ada_url

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.client import Client, Visit
from fetcher.sanitize import SHORT, URL, clean, visible, word
from safeurl.address import AddressPolicy
from safeurl.errors import UrlRefusedError
from safeurl.model.report import Refusal
from safeurl.state import Outcome
from safeurl.url import ParsedUrl, resolve

_PORTS = {"http:": 80, "https:": 443}


@dataclass(slots=True)
class Walker:
    """Walks from a URL to where its redirects end, within one budget of redirects."""

    client: Client
    policy: AddressPolicy
    redirects_left: int
    #: Called when a target is refused before any connection is tried.
    on_refusal: Callable[[Refusal], None] = lambda _refusal: None

    def arrive(self, target: ParsedUrl, via: str, deadline: Deadline) -> Visit:
        """Return the first response that does not redirect; the caller closes it."""
        while True:
            visit = self.client.open(target, via, deadline)
            if not visit.location:
                return visit
            visit.close()
            location = visit.location
            target, via = self.next_target(visit.target, location, keep_fragment=True), "redirect"

    def next_target(
        self, source: ParsedUrl, location: str, *, keep_fragment: bool = False
    ) -> ParsedUrl:
        """Spend one redirect and return where it leads; raise where it may not lead.

        A redirect that names no fragment keeps the one of the request (Fetch Standard).
        """
        if self.redirects_left <= 0:
            raise FetchFailedError(
                Outcome.TOO_MANY_REDIRECTS, f"{source.host} redirects once more than allowed."
            )
        self.redirects_left -= 1
        try:
            found = resolve(source, location, self.policy)
            fragment = source.url.partition("#")[2]
            if keep_fragment and fragment and "#" not in found.url:
                found = resolve(source, f"{found.url}#{fragment}", self.policy)
        except UrlRefusedError as error:
            self.on_refusal(refusal(error.reason, location, source.url))
            raise FetchFailedError(
                Outcome.ADDRESS_REFUSED,
                f"{source.host} redirects to a URL that is refused ({clean(str(error.reason))}): "
                f"{clean(str(error), SHORT)}",
            ) from error
        return found


def refusal(reason: str, location: str, base: str | None = None) -> Refusal:
    """Return the evidence for a URL that was refused as it was written on the page `base`."""
    host, port = _place(location, base)
    return Refusal(host=visible(host), port=port, rule=word(str(reason)), url=clean(location, URL))


def _place(location: str, base: str | None) -> tuple[str, int]:
    """Return host and port as browsers read them, or as others do where browsers read none."""
    try:
        url = ada_url.URL(location, base)
    except ValueError:
        return _roughly(location)
    return url.hostname.strip("[]"), int(url.port or _PORTS.get(url.protocol, 0))


def _roughly(location: str) -> tuple[str, int]:
    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    return host, port
