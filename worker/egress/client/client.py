"""The worker's side of the control socket."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.ports.egress import EgressEndpoint
from worker.egress.protocol import (
    CONTROL_NAME,
    MAX_RESPONSE_BYTES,
    SOCKETS_NAME,
    UNKNOWN_SOCKET,
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
    Response,
    encode,
)
from worker.egress.unix_socket import short_path

A = TypeVar("A", Created, Bound, Record, Listed, Pong)

#: The gateway responds at once; only `close` waits, until the socket's connections have ended.
_TIMEOUT_S: Final = 10.0
_RESPONSES: Final = msgspec.json.Decoder(Response)


class EgressClient:
    """Sends requests to the gateway of one folder; each call opens its own connection.

    The client keeps no state between calls: it may be used after a fork, and the next call reaches
    a restarted gateway. Calls raise `EgressUnavailableError`; if the gateway does not know the
    socket, its subclass `EgressLostError`.
    """

    def __init__(self, egress_dir: Path) -> None:
        """Take the gateway's folder (`Settings.gateway_dir`)."""
        self._dir = egress_dir

    async def create(self) -> EgressEndpoint:
        """Make a socket and return its id and folder."""
        made = await self._ask(Create(), Created)
        return EgressEndpoint(id=made.id, directory=str(socket_folder(self._dir, made.id)))

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
        """Assign the socket to an attempt; a second time is refused."""
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
        """Return the sockets that are assigned to attempts of this instance."""
        return (await self._ask(List(instance=instance), Listed)).sockets

    async def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far."""
        return (await self._ask(Collect(id=socket_id), Record)).evidence

    async def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence."""
        return (await self._ask(Close(id=socket_id), Record)).evidence

    async def ping(self) -> Pong:
        """Return the gateway's identity."""
        return await self._ask(Ping(), Pong)

    async def _ask(self, request: Request, expected: type[A]) -> A:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._connected() as (reader, writer):
                writer.write(encode(request))
                line = await reader.readuntil(b"\n")
            response = _RESPONSES.decode(line)
        except PermissionError as error:
            raise EgressUnavailableError(
                f"This user may not connect to the egress gateway in {self._dir}: the folder is "
                "open to the gateway's own user and one group."
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
        if isinstance(response, expected):
            return response
        raise _failure(response)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        with short_path(self._dir, CONTROL_NAME) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_RESPONSE_BYTES)
        try:
            yield reader, writer
        finally:
            # Aborts: nothing is left to send, and a cancelled call must end at once.
            writer.transport.abort()


def socket_folder(egress_dir: Path, socket_id: str) -> Path:
    """Return the folder to mount into a sandbox; the gateway does not choose the path.

    The gateway parses input of hostile pages and has no access to Docker. It must not be able to
    make the engine mount a path of its choice. One gap remains: it owns these folders, and could
    replace one by a link between this check and the mount.
    """
    sockets = egress_dir.absolute() / SOCKETS_NAME
    folder = sockets / socket_id
    try:
        are_folders = all(stat.S_ISDIR(each.lstat().st_mode) for each in (sockets, folder))
    except OSError as error:
        raise EgressUnavailableError(f"There is no egress socket in {folder}.") from error
    if not are_folders:
        raise EgressUnavailableError(f"{folder} is not a folder that the egress gateway made.")
    return folder


def _failure(response: Response) -> EgressUnavailableError:
    if not isinstance(response, Failed):
        return EgressUnavailableError("The egress gateway sent a response of the wrong kind.")
    kind = EgressLostError if response.code == UNKNOWN_SOCKET else EgressUnavailableError
    return kind(response.message)
