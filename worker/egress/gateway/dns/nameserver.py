"""One DNS server, asked with EDNS, and without it where that gets no answer.

Servers of home routers, hotels and some firewalls drop a question with EDNS (RFC 6891) or refuse
it, and answer the same question without. Silence may be a slow server as well, so the first
question stays open while the second is asked; the first good answer counts.
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

#: No honest answer about addresses is longer; parsing 64 KiB would hold up everybody else.
_TCP_BYTES: Final = 8 * 1024
#: What a server says of the name; anything else may be about EDNS (RFC 6891, 7).
_ANSWERS: Final = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN})
#: After this part of a try the question is asked without EDNS as well.
_PATIENCE: Final = 0.5
#: How long a server is asked without EDNS at once. A lost packet looks the same as a server that
#: drops EDNS, so this ends; meanwhile only answers over 512 bytes cost more, the way over TCP.
PLAIN_FOR_S: Final = 600.0

_Ask = Callable[[dns.message.QueryMessage, float], Awaitable[dns.message.Message]]
_Asked = asyncio.Task[dns.message.Message]


class Nameserver(dns.nameserver.Do53Nameserver):
    """A DNS server whose answers over TCP are capped before anybody parses them."""

    def __init__(
        self, address: str, port: int, *, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        """Take where it listens."""
        super().__init__(address, port)
        self._ticks = ticks
        self._plain_until_s: float | None = None

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
        """Ask the server; without EDNS as well, or alone, where it does not take that."""

        async def over_udp(asked: dns.message.QueryMessage, within_s: float) -> Any:
            rest = (source, source_port, False, backend, one_rr_per_rrset, ignore_trailing)
            return await dns.nameserver.Do53Nameserver.async_query(self, asked, within_s, *rest)

        ask = self._over_tcp if max_size else over_udp
        if self._plain_until_s is not None and self._ticks() < self._plain_until_s:
            return await ask(_without_edns(request), timeout)
        self._plain_until_s = None
        if request.edns < 0:
            return await ask(request, timeout)
        return await self._twice(ask, request, timeout)

    async def _twice(
        self, ask: _Ask, request: dns.message.QueryMessage, timeout_s: float
    ) -> dns.message.Message:
        began_s = time.monotonic()
        first: _Asked = asyncio.ensure_future(_run(ask, request, timeout_s))
        asked = {first}
        try:
            await asyncio.wait(asked, timeout=timeout_s * _PATIENCE)
            if not _is_settled(first):
                left_s = max(began_s + timeout_s - time.monotonic(), 0.0)
                second: _Asked = asyncio.ensure_future(_run(ask, _without_edns(request), left_s))
                asked.add(second)
                return await self._better_of(first, second)
            return first.result()
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _better_of(self, first: _Asked, second: _Asked) -> dns.message.Message:
        settled = await _first_settled(first, second)
        if settled is second:
            self._plain_until_s = self._ticks() + PLAIN_FOR_S
        if settled is None:
            # No answer says less than one that names an error.
            settled = second if first.exception() else first
        return settled.result()

    async def _over_tcp(
        self, request: dns.message.QueryMessage, timeout_s: float
    ) -> dns.message.Message:
        async with asyncio.timeout(timeout_s):
            answer = dns.message.from_wire(await self._exchanged(request.to_wire()))
        if not request.is_response(answer):
            raise dns.exception.FormError
        return answer

    async def _exchanged(self, question: bytes) -> bytes:
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
    plain = copy.copy(request)
    plain.use_edns(edns=False)
    plain.id = secrets.randbits(16)
    return plain


def _is_settled(asked: _Asked) -> bool:
    """Tell whether the server has answered about the name, or that it would over TCP."""
    if not asked.done():
        return False
    if error := asked.exception():
        return isinstance(error, dns.message.Truncated)
    return asked.result().rcode() in _ANSWERS


async def _first_settled(first: _Asked, second: _Asked) -> _Asked | None:
    """Return the one that settles the question before the other does, if any does."""
    pending = {first, second}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in (first, second):
            if task in done and _is_settled(task):
                return task
    return None
