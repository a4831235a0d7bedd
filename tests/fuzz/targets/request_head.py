"""The head that a sandbox sends to its gateway socket."""

import asyncio
import socket
from ipaddress import ip_address

from safeurl.address import DEFAULT_POLICY, judge_address
from safeurl.errors import UrlRefusedError
from worker.egress.gateway.traffic.request import ProxyRequest, ProxyRequestError, read_request

_LOOP = asyncio.new_event_loop()
_TIMEOUT_S = 5.0


def fuzz_request_head(data: bytes) -> None:
    """Check that a head is served or refused with a reason; no spelling hides an address."""
    try:
        request = _LOOP.run_until_complete(_read(data[: 64 * 1024]))
    except ProxyRequestError as error:
        assert 400 <= error.status <= 599
        assert error.rule
        return
    if request is None:
        return
    assert 0 <= request.port <= 65535
    assert len(request.name) <= 512
    try:
        target = request.target(DEFAULT_POLICY)
    except UrlRefusedError as error:
        assert error.reason
        return
    assert target.scheme == "http"
    if target.is_literal:
        assert judge_address(str(ip_address(target.host))).allowed


async def _read(data: bytes) -> ProxyRequest | None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return await read_request(ours, _TIMEOUT_S)
