"""The head that a sandbox sends to its gateway socket."""

import asyncio
import socket
from ipaddress import ip_address

from safeurl.address import DEFAULT_POLICY, judge_address
from safeurl.errors import UrlRefusedError
from worker.egress.gateway.traffic.request import Ask, RequestError, read_ask

_LOOP = asyncio.new_event_loop()
_TIMEOUT_S = 5.0


def fuzz_request_head(data: bytes) -> None:
    """Hold that a head is served or refused by name, and that no spelling hides an address."""
    try:
        ask = _LOOP.run_until_complete(_read(data[: 64 * 1024]))
    except RequestError as error:
        assert 400 <= error.status <= 599
        assert error.rule
        return
    if ask is None:
        return
    assert 0 <= ask.port <= 65535
    assert len(ask.name) <= 512
    try:
        target = ask.target(DEFAULT_POLICY)
    except UrlRefusedError as error:
        assert error.reason
        return
    assert target.scheme == "http"
    if target.is_literal:
        assert judge_address(str(ip_address(target.host))).allowed


async def _read(data: bytes) -> Ask | None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return await read_ask(ours, _TIMEOUT_S)
