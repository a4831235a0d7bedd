"""Follows redirects; the address policy is applied to each target before a request is sent."""

from collections.abc import Callable

import ada_url
from msgspec import Struct

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.client import Client, Response
from fetcher.sanitize import SHORT, URL, identifier, sanitize, visible_ascii
from safeurl.address import AddressPolicy
from safeurl.errors import UrlRefusedError
from safeurl.model.report import Refusal
from safeurl.state import Outcome
from safeurl.url import MAX_REDIRECT_BYTES, ParsedUrl, Reason, resolve

#: Characters that are kept of a fragment that makes a URL too long; it is never sent.
_MAX_FRAGMENT = 512
#: Bytes that a URL needs at most for a character.
_MAX_ENCODED = 12

_PORTS = {"http:": 80, "https:": 443}


class RedirectFollower(Struct):
    """Follows redirects to their end, within a maximum number of redirects."""

    client: Client
    policy: AddressPolicy
    redirects_left: int
    #: Called when a target is refused before a connection is tried.
    on_refusal: Callable[[Refusal], None] = lambda _refusal: None

    def follow(self, target: ParsedUrl, via: str, deadline: Deadline) -> Response:
        """Return the first response that does not redirect; the caller must close it."""
        while True:
            response = self.client.open(target, via, deadline)
            if not response.location:
                return response
            response.close()
            location = response.location
            target, via = (
                self.next_target(response.target, location, keep_fragment=True),
                "redirect",
            )

    def next_target(
        self, source: ParsedUrl, location: str, *, keep_fragment: bool = False
    ) -> ParsedUrl:
        """Count one redirect and return its target; raise an error if it is refused.

        A target without a fragment inherits the fragment of the request's URL (Fetch Standard).
        """
        if self.redirects_left <= 0:
            raise FetchFailedError(
                Outcome.TOO_MANY_REDIRECTS, f"{source.host} redirects more often than allowed."
            )
        self.redirects_left -= 1
        try:
            found = self._resolve(source, location)
            fragment = source.url.partition("#")[2]
            if keep_fragment and fragment and "#" not in found.url:
                found = self._resolve(source, f"{found.url}#{fragment}")
        except UrlRefusedError as error:
            self.on_refusal(url_refusal(error.reason, location, source.url))
            reason = sanitize(str(error.reason))
            raise FetchFailedError(
                Outcome.ADDRESS_REFUSED,
                f"{source.host} redirects to a URL that is refused ({reason}): "
                f"{sanitize(str(error), SHORT)}",
            ) from error
        return found

    def _resolve(self, source: ParsedUrl, location: str) -> ParsedUrl:
        """Return the target; a fragment is cut if the URL is too long only because of it."""
        try:
            return resolve(source, location, self.policy)
        except UrlRefusedError as error:
            url, _, fragment = location.partition("#")
            if error.reason != Reason.TOO_LONG or not fragment:
                raise
        found = resolve(source, url, self.policy)
        free = max(0, MAX_REDIRECT_BYTES - len(found.url) - 1) // _MAX_ENCODED
        return resolve(source, f"{url}#{fragment[: min(free, _MAX_FRAGMENT)]}", self.policy)


def url_refusal(reason: str, location: str, base: str | None = None) -> Refusal:
    """Return the evidence for a URL that was refused, as it was written on the page `base`."""
    host, port = _host_and_port(location, base)
    return Refusal(
        host=visible_ascii(host),
        port=port,
        rule=identifier(str(reason)),
        url=sanitize(location, URL),
    )


def _host_and_port(location: str, base: str | None) -> tuple[str, int]:
    """Return host and port as browsers parse them; else by a more tolerant parser."""
    try:
        url = ada_url.URL(location, base)
    except ValueError:
        return _split_leniently(location)
    return url.hostname.strip("[]"), int(url.port or _PORTS.get(url.protocol, 0))


def _split_leniently(location: str) -> tuple[str, int]:
    from urllib.parse import urlsplit  # noqa: PLC0415 - few refused URLs need it

    try:
        parts = urlsplit(location)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    return host, port
