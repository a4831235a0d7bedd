"""Queries one DNS server with EDNS, and without EDNS if it does not respond.

Some servers of home routers, hotels and firewalls drop or refuse a query with EDNS (RFC 6891), but
answer the same query without it. A server that does not respond may also be slow. So the first
query stays open while the second is sent; the first conclusive response counts.
"""

import asyncio
import copy
import secrets
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import dns.exception
import dns.message
import dns.nameserver
from dns.rcode import Rcode

#: No real response about addresses is longer; parsing 64 KiB would delay other look-ups.
_TCP_BYTES: Final = 8 * 1024
#: Response codes about the name; another code may be about EDNS (RFC 6891, 7).
_CONCLUSIVE: Final = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN})
#: After this share of the timeout the query is also sent without EDNS.
_FALLBACK_SHARE: Final = 0.5
#: How long a server is queried without EDNS only. It is limited, because a lost packet looks like a
#: server that drops EDNS. Meanwhile, responses over 512 bytes need a second query over TCP.
WITHOUT_EDNS_S: Final = 600.0

_Ask = Callable[[dns.message.QueryMessage, float], Awaitable[dns.message.Message]]
_Asked = asyncio.Task[dns.message.Message]


class Nameserver(dns.nameserver.Do53Nameserver):
    """A DNS server; the size of responses over TCP is limited before they are parsed."""

    def __init__(
        self, address: str, port: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the address and the port of the server."""
        super().__init__(address, port)
        self._monotonic = monotonic
        self._without_edns_until_s: float | None = None

    async def async_query(  # noqa: PLR0913, PLR0917 - the package's own signature
        self,
        request: dns.message.QueryMessage,
        timeout: float,  # noqa: ASYNC109 - the same
        source: str | None,
        source_port: int,
        max_size: bool,  # noqa: FBT001 - the same
        backend: Any,  # the package's backend for asyncio, which it does not name publicly
        one_rr_per_rrset: bool = False,  # noqa: FBT001, FBT002 - the same
        ignore_trailing: bool = False,  # noqa: FBT001, FBT002 - the same
    ) -> dns.message.Message:
        """Query the server; use no EDNS if it did not respond to a query with EDNS."""

        async def over_udp(asked: dns.message.QueryMessage, within_s: float) -> Any:
            rest = (source, source_port, False, backend, one_rr_per_rrset, ignore_trailing)
            return await dns.nameserver.Do53Nameserver.async_query(self, asked, within_s, *rest)

        ask = self._over_tcp if max_size else over_udp
        if (
            self._without_edns_until_s is not None
            and self._monotonic() < self._without_edns_until_s
        ):
            return await ask(_without_edns(request), timeout)
        self._without_edns_until_s = None
        if request.edns < 0:
            return await ask(request, timeout)
        return await self._query_with_fallback(ask, request, timeout)

    async def _query_with_fallback(
        self, ask: _Ask, request: dns.message.QueryMessage, timeout_s: float
    ) -> dns.message.Message:
        began_s = time.monotonic()
        first: _Asked = asyncio.ensure_future(_run(ask, request, timeout_s))
        asked = {first}
        try:
            await asyncio.wait(asked, timeout=timeout_s * _FALLBACK_SHARE)
            if not _is_conclusive(first):
                left_s = max(began_s + timeout_s - time.monotonic(), 0.0)
                second: _Asked = asyncio.ensure_future(_run(ask, _without_edns(request), left_s))
                asked.add(second)
                return await self._first_conclusive_result(first, second)
            return first.result()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _first_conclusive_result(self, first: _Asked, second: _Asked) -> dns.message.Message:
        chosen = await _first_conclusive(first, second)
        if chosen is second:
            self._without_edns_until_s = self._monotonic() + WITHOUT_EDNS_S
        if chosen is None:
            # A response with an error code says more than none.
            chosen = second if first.exception() else first
        return chosen.result()

    async def _over_tcp(
        self, request: dns.message.QueryMessage, timeout_s: float
    ) -> dns.message.Message:
        async with asyncio.timeout(timeout_s):
            answer = dns.message.from_wire(await self._exchange(request.to_wire()))
        if not request.is_response(answer):
            raise dns.exception.FormError
        return answer

    async def _exchange(self, question: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(struct.pack("!H", len(question)) + question)
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            if size > _TCP_BYTES:
                raise dns.exception.FormError
            return await reader.readexactly(size)
        finally:
            writer.transport.abort()


async def _run(
    ask: _Ask, request: dns.message.QueryMessage, within_s: float
) -> dns.message.Message:
    return await ask(request, within_s)


def _without_edns(request: dns.message.QueryMessage) -> dns.message.QueryMessage:
    query = copy.copy(request)
    query.use_edns(edns=False)
    query.id = secrets.randbits(16)
    return query


def _is_conclusive(asked: _Asked) -> bool:
    """Return True if the server answered about the name, or asks for a query over TCP."""
    if not asked.done():
        return False
    if error := asked.exception():
        return isinstance(error, dns.message.Truncated)
    return asked.result().rcode() in _CONCLUSIVE


async def _first_conclusive(first: _Asked, second: _Asked) -> _Asked | None:
    """Return the query that gets a conclusive response first, or None."""
    pending = {first, second}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in (first, second):
            if task in done and _is_conclusive(task):
                return task
    return None
