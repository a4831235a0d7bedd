"""Forwards one plain request to an http server, and carries the answer back as it comes.

The request is read and written anew: hop-by-hop headers end here, and only one request is
forwarded on a connection. A second one, perhaps for another host, would otherwise reach the first
one's server, which could answer in the other's name.
"""

import asyncio
import socket
from typing import Final

import h11

from safeurl.url import ParsedUrl
from worker.egress.gateway.traffic.accounting import Entry, Ledger
from worker.egress.gateway.traffic.pace import Pace
from worker.egress.gateway.traffic.request import Ask, named_by_connection
from worker.egress.gateway.traffic.tunnel import Tunnel, has_hung_up

_READ_BYTES: Final = 64 * 1024
_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"host", b"expect")
)


class PlainForward:
    """One request and its answer."""

    def __init__(
        self, ask: Ask, target: ParsedUrl, client: socket.socket, server: socket.socket
    ) -> None:
        """Take the request whose head was read, and the server it goes to."""
        self._loop = asyncio.get_running_loop()
        self._ask = ask
        self._target = target
        self._client = client
        self._server = server
        self._http = h11.Connection(h11.CLIENT)

    async def carry(self, ledger: Ledger, entry: Entry, buffer: memoryview) -> str:
        """Carry the request and the answer; return why it was cut, or nothing."""
        tunnel = Tunnel(self._client, self._server, ledger, entry, buffer)
        upload = asyncio.create_task(self._upload(tunnel, ledger, entry))
        try:
            return await tunnel.carry_answer()
        finally:
            upload.cancel()
            await asyncio.wait([upload])
            # Removed only where it is still ours: `sock_recv` removes its own.
            self._loop.remove_reader(self._client)

    async def _upload(self, tunnel: Tunnel, ledger: Ledger, entry: Entry) -> None:
        try:
            event: h11.Event = self._head()
            while True:
                data = self._http.send(event) or b""
                if len(data) > ledger.left_out():
                    tunnel.finish("cap_bytes")
                    return
                ledger.spend_out(entry, len(data))
                await self._loop.sock_sendall(self._server, data)
                if isinstance(event, h11.EndOfMessage):
                    break
                # A socket that takes and gives at once never suspends: others get their turn here.
                await asyncio.sleep(ledger.pace_out.wait_s())
                event = await self._next_event(ledger.pace_out)
        except OSError:
            # The server may have answered before it had read all; its answer is still carried.
            return
        except h11.ProtocolError:
            tunnel.finish("bad_request")
            return
        self._loop.add_reader(self._client, self._on_more, tunnel)

    async def _next_event(self, pace: Pace) -> h11.Data | h11.EndOfMessage:
        while (event := self._ask.http.next_event()) is h11.NEED_DATA:
            data = await self._loop.sock_recv(self._client, _READ_BYTES)
            self._ask.http.receive_data(data)
            pace.spend(len(data))
            await asyncio.sleep(pace.wait_s())
        if isinstance(event, h11.Data):
            return event
        if isinstance(event, h11.EndOfMessage):
            return h11.EndOfMessage()
        raise h11.LocalProtocolError("The request ended before its body did.")

    def _head(self) -> h11.Request:
        request = self._ask.plain
        if request is None:
            raise ValueError("a CONNECT is not forwarded")
        named = named_by_connection(request)
        # A normalised URL: what follows the authority begins with a slash.
        url = self._target.url.partition("#")[0]
        authority, slash, rest = url.removeprefix("http://").partition("/")
        headers = [
            (name, value)
            for name, value in request.headers.raw_items()
            if name.lower() not in _HOP_BY_HOP | named and not name.lower().startswith(b"proxy-")
        ]
        return h11.Request(
            method=request.method,
            target=f"{slash}{rest}",
            headers=[(b"Host", authority.encode()), *headers, (b"Connection", b"close")],
        )

    def _on_more(self, tunnel: Tunnel) -> None:
        """End when the client goes or sends more; half-closing is all the same to us."""
        try:
            more = self._client.recv(1)
        except OSError:
            more = b""
        if more or has_hung_up(self._client):
            tunnel.finish("")
        else:
            self._loop.remove_reader(self._client)
