"""Forwards one request to an http server and streams the response back.

The gateway parses the request and writes it again without hop-by-hop headers. It forwards only one
request on a connection: a second request, which may name another host, would otherwise reach the
first request's server, and that server could answer in the name of the other host.
"""

import asyncio
import socket
from typing import Final

import h11

from safeurl.url import ParsedUrl
from worker.egress.gateway.traffic.accounting import Accounting, Entry
from worker.egress.gateway.traffic.rate_limit import RateLimit
from worker.egress.gateway.traffic.request import ProxyRequest, named_by_connection
from worker.egress.gateway.traffic.tunnel import Tunnel, has_hung_up

_READ_BYTES: Final = 64 * 1024
_HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"host", b"expect")
)


class RequestForward:
    """Forwards one request and its response."""

    def __init__(
        self, request: ProxyRequest, target: ParsedUrl, client: socket.socket, server: socket.socket
    ) -> None:
        """Take the parsed request and the connected server."""
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._target = target
        self._client = client
        self._server = server
        self._http = h11.Connection(h11.CLIENT)

    async def carry(self, accounting: Accounting, entry: Entry, buffer: memoryview) -> str:
        """Forward the request and the response; return the outcome, empty if it was complete."""
        tunnel = Tunnel(self._client, self._server, accounting, entry, buffer)
        upload = asyncio.create_task(self._upload(tunnel, accounting, entry))
        try:
            return await tunnel.carry_response()
        finally:
            upload.cancel()
            await asyncio.wait([upload])
            # Removes the reader of `_on_client_data`; `sock_recv` removes its own reader.
            self._loop.remove_reader(self._client)

    async def _upload(self, tunnel: Tunnel, accounting: Accounting, entry: Entry) -> None:
        try:
            event: h11.Event = self._head()
            while True:
                data = self._http.send(event) or b""
                if len(data) > accounting.remaining_out():
                    tunnel.finish("cap_bytes")
                    return
                accounting.add_out(entry, len(data))
                await self._loop.sock_sendall(self._server, data)
                if isinstance(event, h11.EndOfMessage):
                    break
                # Yields to other tasks: a socket that is always ready never suspends this task.
                await asyncio.sleep(accounting.rate_out.wait_s())
                event = await self._next_event(accounting.rate_out)
        except OSError:
            # The server may answer before it has read the whole body; the response still passes.
            return
        except h11.ProtocolError:
            tunnel.finish("bad_request")
            return
        self._loop.add_reader(self._client, self._on_client_data, tunnel)

    async def _next_event(self, rate: RateLimit) -> h11.Data | h11.EndOfMessage:
        while (event := self._request.http.next_event()) is h11.NEED_DATA:
            data = await self._loop.sock_recv(self._client, _READ_BYTES)
            self._request.http.receive_data(data)
            rate.take(len(data))
            await asyncio.sleep(rate.wait_s())
        if isinstance(event, h11.Data):
            return event
        if isinstance(event, h11.EndOfMessage):
            return h11.EndOfMessage()
        raise h11.LocalProtocolError("The request ended before its body was complete.")

    def _head(self) -> h11.Request:
        request = self._request.forwarded
        if request is None:
            raise ValueError("a CONNECT is not forwarded")
        named = named_by_connection(request)
        # The URL is normalised, so a slash follows the authority.
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

    def _on_client_data(self, tunnel: Tunnel) -> None:
        """End the transfer if the client closed or sent more bytes; ignore a half-close."""
        try:
            more = self._client.recv(1)
        except OSError:
            more = b""
        if more or has_hung_up(self._client):
            tunnel.finish("")
        else:
            self._loop.remove_reader(self._client)
