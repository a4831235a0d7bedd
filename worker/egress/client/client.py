"""The worker's side of the control socket."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.report import EgressEvidence
from safeurl.ports.egress import EgressEndpoint
from worker.egress.protocol import (
    CONTROL_NAME,
    MAX_ANSWER_BYTES,
    SOCKETS_NAME,
    UNKNOWN_SOCKET,
    Answer,
    Bind,
    Bound,
    BoundSocket,
    Close,
    Collect,
    Create,
    Created,
    EgressPolicy,
    Failed,
    List,
    Listed,
    Ping,
    Pong,
    Record,
    Request,
    encode,
)
from worker.egress.unix_socket import short_path

A = TypeVar("A", Created, Bound, Record, Listed, Pong)

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

    async def create(self) -> EgressEndpoint:
        """Make a socket and return its id and folder."""
        made = await self._ask(Create(), Created)
        return EgressEndpoint(id=made.id, directory=str(self._folder(made.id)))

    async def bind(  # noqa: PLR0913 - the fields of the request
        self,
        socket_id: str,
        *,
        scan: str,
        attempt: int,
        deadline_s: float,
        policy: EgressPolicy,
        instance: str = "",
    ) -> None:
        """Give the socket to an attempt; a second time is refused."""
        request = Bind(
            id=socket_id,
            scan=scan,
            attempt=attempt,
            instance=instance,
            deadline_s=deadline_s,
            policy=policy,
        )
        await self._ask(request, Bound)

    async def bound_to(self, instance: str) -> tuple[BoundSocket, ...]:
        """Return the sockets that belong to attempts of this instance."""
        return (await self._ask(List(instance=instance), Listed)).sockets

    async def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far."""
        return (await self._ask(Collect(id=socket_id), Record)).evidence

    async def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence."""
        return (await self._ask(Close(id=socket_id), Record)).evidence

    async def ping(self) -> Pong:
        """Return who is there."""
        return await self._ask(Ping(), Pong)

    def _folder(self, socket_id: str) -> Path:
        """Return the folder that a sandbox gets mounted; the gateway is not asked where it is.

        It parses what hostile pages send and is denied Docker on purpose, so that it must not have
        the engine mount a path of its choice. What remains: it owns these folders, and could put
        a link in the place of one between this look and the mount.
        """
        sockets = self._dir.absolute() / SOCKETS_NAME
        folder = sockets / socket_id
        try:
            are_real = all(stat.S_ISDIR(each.lstat().st_mode) for each in (sockets, folder))
        except OSError as error:
            raise EgressUnavailableError(f"There is no egress socket in {folder}.") from error
        if not are_real:
            raise EgressUnavailableError(f"{folder} is no folder of the egress gateway's own.")
        return folder

    async def _ask(self, request: Request, expected: type[A]) -> A:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._connected() as (reader, writer):
                writer.write(encode(request))
                line = await reader.readuntil(b"\n")
            answer = _ANSWERS.decode(line)
        except PermissionError as error:
            raise EgressUnavailableError(
                f"This user may not speak to the egress gateway in {self._dir}: the folder lets in "
                "the gateway's own user and one group."
            ) from error
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
