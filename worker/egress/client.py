"""The worker's side of the control socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.report import EgressEvidence
from worker.egress.place import short_path
from worker.egress.protocol import (
    CONTROL_NAME,
    MAX_ANSWER_BYTES,
    UNKNOWN_SOCKET,
    Answer,
    Bind,
    Bound,
    Close,
    Collect,
    Create,
    Created,
    EgressPolicy,
    Failed,
    Ping,
    Pong,
    Record,
    Request,
    encode,
)

A = TypeVar("A", Created, Bound, Record, Pong)

#: The gateway answers at once; only `close` waits, and only for its own tasks to end.
_TIMEOUT_S: Final = 10.0
_ANSWERS: Final = msgspec.json.Decoder(Answer)


class EgressClient:
    """Speaks to the gateway of one folder; each call is a connection of its own.

    So nothing is held between calls: the client crosses a fork, and a gateway that was started
    again is found at the next call. Calls raise `EgressUnavailableError`; for a socket that the
    gateway does not know, its subclass `EgressLostError`.
    """

    def __init__(self, egress_dir: Path) -> None:
        """Take the gateway's folder (`Settings.gateway_dir`)."""
        self._dir = egress_dir

    async def create(self) -> Created:
        """Make a socket and return its id and folder."""
        return await self._ask(Create(), Created)

    async def bind(
        self, socket_id: str, *, scan: str, attempt: int, deadline_s: float, policy: EgressPolicy
    ) -> None:
        """Give the socket to an attempt; a second time is refused."""
        request = Bind(
            id=socket_id, scan=scan, attempt=attempt, deadline_s=deadline_s, policy=policy
        )
        await self._ask(request, Bound)

    async def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far."""
        return (await self._ask(Collect(id=socket_id), Record)).evidence

    async def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence."""
        return (await self._ask(Close(id=socket_id), Record)).evidence

    async def ping(self) -> Pong:
        """Return who is there."""
        return await self._ask(Ping(), Pong)

    async def _ask(self, request: Request, expected: type[A]) -> A:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._connected() as (reader, writer):
                writer.write(encode(request))
                line = await reader.readuntil(b"\n")
            answer = _ANSWERS.decode(line)
        except (
            OSError,
            TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            msgspec.DecodeError,
        ) as error:
            raise EgressUnavailableError(
                f"The egress gateway in {self._dir} does not answer "
                f"({type(error).__name__}: {error}). Is `safeurl gateway` or the worker running?"
            ) from error
        if isinstance(answer, expected):
            return answer
        raise _failure(answer)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        with short_path(self._dir, CONTROL_NAME) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_ANSWER_BYTES)
        try:
            yield reader, writer
        finally:
            # Not awaited closing: nothing is left to send, and a cancelled call must end at once.
            writer.transport.abort()


def _failure(answer: Answer) -> EgressUnavailableError:
    if not isinstance(answer, Failed):
        return EgressUnavailableError("The egress gateway gave another answer than was asked for.")
    kind = EgressLostError if answer.code == UNKNOWN_SOCKET else EgressUnavailableError
    return kind(answer.message)
