"""The doctor's honeypot: a fake DNS server, a page that redirects, and decoy ports.

All of it listens on loopback. A connection to a decoy port proves that the isolation failed.
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

from worker.doctor.fake_dns import PRIVATE, PUBLIC, FakeDns

_HEAD_S: Final = 5.0
_ATTEMPTS: Final = 8
_PAGE: Final = "page"

#: Decoy ports, by the way on which a sandbox would reach them: directly, by a DNS name whose
#: address changes, or by a redirect.
DIRECT: Final = "walls"
REBOUND: Final = "rebound"
REDIRECTED: Final = "redirected"


@dataclass(slots=True)
class Honeypot:
    """The ports on which it listens, and the connections that came."""

    names: FakeDns = field(default_factory=FakeDns)
    #: Ports of the DNS server, of the page and of the decoys.
    dns_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    #: Connections to each port, by its name.
    connection_counts: Counter[str] = field(default_factory=Counter)

    @property
    def page_port(self) -> int:
        """The port of the page, on the address that represents a public one."""
        return self.ports[_PAGE]

    async def listen(self, stack: AsyncExitStack) -> None:
        """Listen until the stack closes."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Dns(self.names), local_addr=(PRIVATE, 0)
        )
        stack.callback(transport.close)
        self.dns_port = transport.get_extra_info("sockname")[1]
        for name in (DIRECT, REDIRECTED):
            await self._serve(stack, name, socket.create_server((PRIVATE, 0)))
        page, rebound = _same_port()
        await self._serve(stack, _PAGE, page)
        await self._serve(stack, REBOUND, rebound)

    async def _serve(self, stack: AsyncExitStack, name: str, listener: socket.socket) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connection_counts[name] += 1
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
    """Listen on both addresses with the same port: DNS rebinding changes the address only."""
    for _ in range(_ATTEMPTS):
        public = socket.create_server((PUBLIC, 0))
        try:
            return public, socket.create_server((PRIVATE, public.getsockname()[1]))
        except OSError:
            # Another process has this port.
            public.close()
    raise OSError("no port of loopback is free at two addresses")


class _Dns(asyncio.DatagramProtocol):
    def __init__(self, names: FakeDns) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # - a datagram endpoint has a datagram transport
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(dns.exception.DNSException, IndexError):
            answer = self._names.respond(dns.message.from_wire(data)).to_wire()
            if self._transport is not None:
                self._transport.sendto(answer, addr)


@asynccontextmanager
async def open_honeypot() -> AsyncIterator[Honeypot]:
    """Yield a honeypot that listens until the context ends."""
    honeypot = Honeypot()
    async with AsyncExitStack() as stack:
        await honeypot.listen(stack)
        yield honeypot
