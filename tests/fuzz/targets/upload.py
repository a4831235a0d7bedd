"""A plain request with a body, forwarded by the gateway: one request in, one request out."""

import asyncio
import contextlib
import socket

import h11

from safeurl.address import DEFAULT_POLICY
from safeurl.errors import UrlRefusedError
from worker.egress.gateway.traffic.accounting import Accounting, Entry
from worker.egress.gateway.traffic.forward import RequestForward
from worker.egress.gateway.traffic.request import ProxyRequestError, read_request

_LOOP = asyncio.new_event_loop()
_TIMEOUT_S = 5.0
_BUFFER = memoryview(bytearray(64 * 1024))
#: What a socket pair holds before anybody reads: more would have to be read meanwhile.
_MAX_BYTES = 32 * 1024


def fuzz_request(data: bytes) -> None:
    """Check that the server gets exactly one request with clear framing, or the start of one."""
    forwarded = _LOOP.run_until_complete(_forward(data[:_MAX_BYTES]))
    if not forwarded:
        return
    http = h11.Connection(h11.SERVER)
    http.receive_data(forwarded)
    request = http.next_event()
    assert isinstance(request, h11.Request), request
    names = [name for name, _ in request.headers]
    assert not {b"content-length", b"transfer-encoding"} <= set(names)
    assert names.count(b"host") == 1
    assert not any(name.startswith(b"proxy-") for name in names)
    while isinstance(http.next_event(), h11.Data):
        pass
    assert not http.trailing_data[0], http.trailing_data


async def _forward(data: bytes) -> bytes:
    sandbox, client = socket.socketpair()
    gateway, server = socket.socketpair()
    with sandbox, client, gateway, server:
        for each in (client, gateway):
            each.settimeout(0)
        sandbox.sendall(data)
        sandbox.shutdown(socket.SHUT_WR)
        try:
            request = await read_request(client, _TIMEOUT_S)
            if request is None or request.forwarded is None:
                return b""
            target = request.target(DEFAULT_POLICY)
        except (ProxyRequestError, UrlRefusedError):
            return b""
        forward = RequestForward(request, target, client, gateway)
        carried = asyncio.create_task(forward.carry(Accounting(), Entry(), _BUFFER))
        # One turn of the loop lets the upload run as far as the bytes reach; then the server ends.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(_TIMEOUT_S):
            await carried
        gateway.shutdown(socket.SHUT_RDWR)
        return b"".join(iter(lambda: server.recv(64 * 1024), b""))
