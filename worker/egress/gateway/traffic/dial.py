"""Connects to addresses that the policy allowed; it never resolves a name."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import Final

from safeurl.state import Outcome

#: The time limit for all addresses of a name together.
CONNECT_S: Final = 10.0
_MAX_TRIES: Final = 4
_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class DialError(Exception):
    """No address accepted; `outcome` is the most informative of the failures."""

    def __init__(self, outcome: str) -> None:
        """Keep the outcome."""
        super().__init__(outcome)
        self.outcome = outcome


async def dial(addresses: Sequence[str], port: int) -> tuple[socket.socket, str]:
    """Connect to the first address that accepts; return the socket and that address."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CONNECT_S
    outcomes: list[str] = []
    tries = addresses[:_MAX_TRIES]
    for position, address in enumerate(tries):
        # Divides the remaining time, so that one unreachable address does not use all of it.
        share_s = (deadline - loop.time()) / (len(tries) - position)
        try:
            return await _connect(address, port, share_s), address
        except TimeoutError:
            outcomes.append(Outcome.CONNECT_TIMEOUT)
        except OSError as error:
            exhausted = error.errno in _EXHAUSTED
            outcomes.append("gateway_overloaded" if exhausted else Outcome.CONNECT_REFUSED)
    if Outcome.CONNECT_TIMEOUT in outcomes:
        raise DialError(Outcome.CONNECT_TIMEOUT)
    raise DialError(outcomes[0] if outcomes else Outcome.CONNECT_REFUSED)


async def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection
