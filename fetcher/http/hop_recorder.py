"""What one hop has seen so far; it becomes evidence also when the hop fails half-way."""

import time
from dataclasses import dataclass, field

from fetcher.deadline import milliseconds_since
from fetcher.http.head import Head
from fetcher.sanitize import LONG, SHORT, URL, address, clean, opened, token, visible, word
from safeurl.model.report import Hop, Refusal, Timings, Tls

_MAX_HEADERS = 256
_MAX_HEADER_TEXT = 64 * 1024
_MAX_ADDRESSES = 64
_HTTP_STATUSES = range(100, 1000)


@dataclass(slots=True)
class HopRecorder:
    """Filled in while the hop goes on."""

    url: str
    host: str
    port: int
    via: str
    addresses: tuple[str, ...] = ()
    address: str | None = None
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    tls: Tls | None = None
    head: Head | None = None
    location: str | None = None
    refusal: Refusal | None = None
    error: str = ""
    started: float = field(default_factory=time.monotonic)

    def refuse(self, rule: str, refused: str = "") -> None:
        """Note that the address policy stopped this hop, and for which address."""
        self.refusal = Refusal(
            host=visible(self.host),
            port=self.port,
            rule=word(rule),
            address=address(refused),
            url=clean(self.url, URL),
        )

    def hop(self) -> Hop:
        """Return the evidence; `total_ms` runs from the name's look-up to the headers' end."""
        headers, truncated = _headers(self.head)
        status = self.head.status if self.head else None
        return Hop(
            url=opened(self.url),
            via=self.via,
            status=status if status in _HTTP_STATUSES else None,
            http_version=self.head.http_version if self.head else "",
            headers=headers,
            headers_truncated=truncated,
            anomalies=self.head.anomalies if self.head else (),
            addresses=tuple(filter(None, map(address, self.addresses)))[:_MAX_ADDRESSES],
            address=address(self.address or "") or None,
            port=self.port,
            location=None if self.location is None else clean(self.location, URL),
            timings=Timings(
                dns_ms=self.dns_ms,
                connect_ms=self.connect_ms,
                tls_ms=self.tls_ms,
                first_byte_ms=self.first_byte_ms,
                total_ms=milliseconds_since(self.started),
            ),
            tls=self.tls,
            error=clean(self.error, LONG),
        )


def _headers(head: Head | None) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Return the headers that fit, and whether any was left out or shortened."""
    kept: list[tuple[str, str]] = []
    room = _MAX_HEADER_TEXT
    given = head.headers if head else ()
    shortened = False
    for name, value in given[:_MAX_HEADERS]:
        shortened = shortened or len(name) > SHORT or len(value) > URL
        pair = (token(name), clean(value, URL))
        room -= len(pair[0]) + len(pair[1])
        if room < 0:
            break
        if pair[0]:  # `fetcher.http.head` lets no other name through
            kept.append(pair)
    return tuple(kept), shortened or len(kept) < len(given)
