"""Records one hop, so that there is evidence even if the hop fails."""

import time

from msgspec import Struct, field

from fetcher.deadline import milliseconds_since
from fetcher.http.head import Head
from fetcher.sanitize import (
    LONG,
    SHORT,
    URL,
    header_name,
    http_url,
    identifier,
    ip_literal,
    sanitize,
    visible_ascii,
)
from safeurl.model.report import Hop, Refusal, Timings, Tls

_MAX_HEADERS = 256
_MAX_HEADER_TEXT = 64 * 1024
_MAX_ADDRESSES = 64
_HTTP_STATUSES = range(100, 1000)


class HopRecorder(Struct):
    """Filled in while the hop proceeds."""

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

    def record_refusal(self, rule: str, refused: str = "") -> None:
        """Record that the address policy refused this hop, and the refused address."""
        self.refusal = Refusal(
            host=visible_ascii(self.host),
            port=self.port,
            rule=identifier(rule),
            address=ip_literal(refused),
            url=sanitize(self.url, URL),
        )

    def evidence(self) -> Hop:
        """Return the evidence; `total_ms` is from the name's look-up to the end of the headers."""
        headers, truncated = _headers(self.head)
        status = self.head.status if self.head else None
        return Hop(
            url=http_url(self.url),
            via=self.via,
            status=status if status in _HTTP_STATUSES else None,
            http_version=self.head.http_version if self.head else "",
            headers=headers,
            headers_truncated=truncated,
            anomalies=self.head.anomalies if self.head else (),
            addresses=tuple(filter(None, map(ip_literal, self.addresses)))[:_MAX_ADDRESSES],
            address=ip_literal(self.address or "") or None,
            port=self.port,
            location=None if self.location is None else sanitize(self.location, URL),
            timings=Timings(
                dns_ms=self.dns_ms,
                connect_ms=self.connect_ms,
                tls_ms=self.tls_ms,
                first_byte_ms=self.first_byte_ms,
                total_ms=milliseconds_since(self.started),
            ),
            tls=self.tls,
            error=sanitize(self.error, LONG),
        )


def _headers(head: Head | None) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Return the headers that fit, and True if some were left out or shortened."""
    kept: list[tuple[str, str]] = []
    chars_left = _MAX_HEADER_TEXT
    given = head.headers if head else ()
    shortened = False
    for name, value in given[:_MAX_HEADERS]:
        shortened = shortened or len(name) > SHORT or len(value) > URL
        pair = (header_name(name), sanitize(value, URL))
        chars_left -= len(pair[0]) + len(pair[1])
        if chars_left < 0:
            break
        if pair[0]:  # always true for headers from `fetcher.http.head`
            kept.append(pair)
    return tuple(kept), shortened or len(kept) < len(given)
