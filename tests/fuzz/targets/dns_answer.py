"""DNS responses: for every response of a server, the result is only addresses."""

import asyncio
from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.message
import dns.nameserver

from safeurl.address import DEFAULT_POLICY, judge_all
from worker.egress.gateway.dns.resolver import ResolveError, Resolver
from worker.egress.gateway.traffic.accounting import MAX_ADDRESSES

_LOOP = asyncio.new_event_loop()
#: Of a DNS header: the id, and all of it (RFC 1035, 4.1.1).
_ID_BYTES, _HEADER_BYTES = 2, 12


def fuzz_dns_answer(data: bytes) -> None:
    """Check that a look-up ends with valid addresses or with a known outcome."""
    resolver = Resolver()
    resolver._servers = (_Answering(data),)  # type: ignore[assignment]  # noqa: SLF001 - no socket: the bytes are the answer
    try:
        addresses = _LOOP.run_until_complete(resolver.addresses("site.example."))
    except ResolveError as error:
        assert error.outcome
        return
    assert 0 < len(addresses) <= MAX_ADDRESSES
    assert all(str(ip_address(address)) for address in addresses)
    judge_all(addresses, DEFAULT_POLICY)


class _Answering(dns.nameserver.Do53Nameserver):
    """A server whose every answer is made of the same bytes, with the right id and question."""

    def __init__(self, data: bytes) -> None:
        super().__init__("127.0.0.1")
        self._flags = data[: _HEADER_BYTES - _ID_BYTES].ljust(_HEADER_BYTES - _ID_BYTES, b"\0")
        self._rest = data[_HEADER_BYTES - _ID_BYTES :]

    async def async_query(
        self, request: dns.message.QueryMessage, *_: Any, **__: Any
    ) -> dns.message.Message:
        asked = request.to_wire()
        question = dns.message.make_query(
            request.question[0].name, request.question[0].rdtype, id=request.id
        ).to_wire()[_HEADER_BYTES:]
        answer = dns.message.from_wire(asked[:_ID_BYTES] + self._flags + question + self._rest)
        if not request.is_response(answer):
            raise dns.exception.FormError
        return answer
