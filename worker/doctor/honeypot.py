"""What the doctor holds out to sandboxes: names that lie, a page that redirects, and baits.

All of it listens on loopback. Who reaches a bait has got past a wall, whatever else is said.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import dns.exception
import dns.message

from worker.doctor.fake_dns import PRIVATE, PUBLIC, LyingDns

_HEAD_S: Final = 5.0
_TRIES: Final = 8
_PAGE: Final = "page"

#: Baits, by the wall behind which they lie.
BEHIND_WALLS: Final = "walls"
REBOUND: Final = "rebound"
REDIRECTED: Final = "redirected"


@dataclass(slots=True)
class Lure:
    """Where all of it listens, and what came."""

    names: LyingDns = field(default_factory=LyingDns)
    #: Ports of the DNS server, and of the page and the baits.
    dns_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    #: Connections to them.
    hits: Counter[str] = field(default_factory=Counter)

    @property
    def page_port(self) -> int:
        """Where the page listens, on the address that stands for a public one."""
        return self.ports[_PAGE]

    async def listen(self, stack: AsyncExitStack) -> None:
        """Listen until the stack ends."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Dns(self.names), local_addr=(PRIVATE, 0)
        )
        stack.callback(transport.close)
        self.dns_port = transport.get_extra_info("sockname")[1]
        for name in (BEHIND_WALLS, REDIRECTED):
            await self._serve(stack, name, socket.create_server((PRIVATE, 0)))
        page, rebound = _same_port()
        await self._serve(stack, _PAGE, page)
        await self._serve(stack, REBOUND, rebound)

    async def _serve(self, stack: AsyncExitStack, name: str, listener: socket.socket) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.hits[name] += 1
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                if name == _PAGE:
                    await self._redirect(reader, writer)
            writer.close()

        self.ports[name] = listener.getsockname()[1]
        server = await asyncio.start_server(serve, sock=listener)
        stack.callback(server.close)

    async def _redirect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            await reader.readuntil(b"\r\n\r\n")
        head = (
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\n"
            f"Location: http://{PRIVATE}:{self.ports[REDIRECTED]}/\r\n\r\n"
        )
        writer.write(head.encode("ascii"))
        await writer.drain()


def _same_port() -> tuple[socket.socket, socket.socket]:
    """Listen on both addresses at one port: a rebinding name changes its address only."""
    for _ in range(_TRIES):
        public = socket.create_server((PUBLIC, 0))
        try:
            return public, socket.create_server((PRIVATE, public.getsockname()[1]))
        except OSError:
            # Somebody else has this port.
            public.close()
    raise OSError("no port of loopback is free at two addresses")


class _Dns(asyncio.DatagramProtocol):
    def __init__(self, names: LyingDns) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # - of a datagram endpoint it is one
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(dns.exception.DNSException, IndexError):
            answer = self._names.answer(dns.message.from_wire(data)).to_wire()
            if self._transport is not None:
                self._transport.sendto(answer, addr)


@asynccontextmanager
async def held_out() -> AsyncIterator[Lure]:
    """Listen while the context lasts."""
    lure = Lure()
    async with AsyncExitStack() as stack:
        await lure.listen(stack)
        yield lure
