"""The gateway's side of the socket to a process that serves one sandbox at a time."""

import asyncio
import contextlib
import secrets
import socket
from pathlib import Path
from typing import Final, Self

import msgspec

from safeurl.model.egress_evidence import EgressEvidence
from worker.egress.gateway.spawner import Spawner
from worker.egress.protocol import (
    MAX_RESPONSE_BYTES,
    SOCKET_NAME,
    UNKNOWN_SOCKET,
    Failed,
    MemberRequest,
    Open,
    Record,
    Response,
    encode,
)

_RESPONSES: Final = msgspec.json.Decoder(Response)
#: Open to every user: the mount decides which container sees the folder, and the mode of the
#: gateway's own folder protects it on the host.
_FOLDER_MODE: Final = 0o755
#: Less than the timeout of the worker's own request. Each step of the process is short, so a
#: process that needs longer is defective and is killed.
RESPONSE_TIMEOUT_S: Final = 5.0


class GatewayError(Exception):
    """A request failed; `code` is defined by the protocol, the message is for the log."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and the message."""
        super().__init__(message)
        self.code = code


class Link:
    """A process that serves one sandbox at a time; it is killed if it does not respond."""

    def __init__(
        self,
        key: str,
        spawner: Spawner,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Take the streams of the link; `start` makes a link."""
        self._key = key
        self._spawner = spawner
        self._reader, self._writer = streams
        self._lock = asyncio.Lock()
        #: The folder of the sandbox that it serves; None while it is idle.
        self.directory: Path | None = None

    @classmethod
    async def start(cls, spawner: Spawner) -> Self:
        """Start an idle process."""
        key = secrets.token_hex(8)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                spawner.spawn(key, theirs)
            ours.settimeout(0)
            streams = await asyncio.open_unix_connection(sock=ours, limit=MAX_RESPONSE_BYTES)
        except BaseException:
            ours.close()
            raise
        return cls(key, spawner, streams)

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def open(self, directory: Path) -> None:
        """Make a sandbox's folder, and let the process listen on a socket in it."""
        _make_folder(directory)
        try:
            await self.ask(Open(directory=str(directory)))
        except BaseException:
            remove_folder(directory)
            raise
        self.directory = directory

    async def ask(self, request: MemberRequest, within_s: float = RESPONSE_TIMEOUT_S) -> Response:
        """Return the response; kill the process if none comes in time (its evidence is lost)."""
        try:
            async with asyncio.timeout(within_s), self._lock:
                self._writer.write(encode(request))
                response: Response = _RESPONSES.decode(await self._reader.readuntil(b"\n"))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
            self.kill()
            raise GatewayError(
                UNKNOWN_SOCKET, "The process of this socket has ended, and its evidence is lost."
            ) from error
        if isinstance(response, Failed):
            raise GatewayError(response.code, response.message)
        return response

    async def record(self, request: MemberRequest) -> EgressEvidence:
        """Send a request whose response is the evidence, and return it."""
        response = await self.ask(request)
        if not isinstance(response, Record):
            self.kill()
            raise GatewayError(UNKNOWN_SOCKET, "The process of this socket sent a wrong response.")
        return response.evidence

    def kill(self) -> None:
        """Kill the process; this closes its connections and its socket."""
        self._spawner.kill(self._key)
        self._writer.transport.abort()

    def remove_sandbox_folder(self) -> None:
        """Remove the folder of the sandbox that the process served."""
        if self.directory is not None:
            with contextlib.suppress(OSError):
                remove_folder(self.directory)
            self.directory = None

    def release(self) -> None:
        """Close the link; the process then ends by itself."""
        self._writer.close()

    async def end(self) -> None:
        """Close the link and wait until it is closed."""
        self.release()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _make_folder(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    directory.chmod(_FOLDER_MODE)  # independent of the umask


def remove_folder(directory: Path) -> None:
    """Remove a socket's folder; it may contain the socket and nothing else."""
    with contextlib.suppress(FileNotFoundError):
        (directory / SOCKET_NAME).unlink(missing_ok=True)
        directory.rmdir()
