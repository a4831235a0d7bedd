"""The gateway's end of the socket to a process that serves sandboxes, one at a time."""

import asyncio
import contextlib
import secrets
import socket
from pathlib import Path
from typing import Final, Self

import msgspec

from safeurl.model.report import EgressEvidence
from worker.egress.gateway.spawner import Spawner
from worker.egress.protocol import (
    MAX_ANSWER_BYTES,
    SOCKET_NAME,
    UNKNOWN_SOCKET,
    Answer,
    Failed,
    MemberRequest,
    Open,
    Record,
    encode,
)

_ANSWERS: Final = msgspec.json.Decoder(Answer)
#: For anybody to enter: who sees it is decided by the mount into the container, and on the host by
#: the mode of the gateway's own folder.
_FOLDER_MODE: Final = 0o755
#: Less than the worker waits for its own answer. The process has small steps only, so that one
#: which needs longer has a fault, and is killed.
ANSWER_S: Final = 5.0


class GatewayError(Exception):
    """The gateway does not do this; `code` is the protocol's, the message one for the log."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(message)
        self.code = code


class Link:
    """A process that serves one sandbox at a time: asked one thing at a time, killed if silent."""

    def __init__(
        self,
        key: str,
        spawner: Spawner,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Take the streams of the link; `start` makes one."""
        self._key = key
        self._spawner = spawner
        self._reader, self._writer = streams
        self._turn = asyncio.Lock()
        #: The folder of the sandbox that it serves; None while it serves none.
        self.directory: Path | None = None

    @classmethod
    async def start(cls, spawner: Spawner) -> Self:
        """Start a process, which serves nobody yet."""
        key = secrets.token_hex(8)
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                spawner.spawn(key, theirs)
            ours.settimeout(0)
            streams = await asyncio.open_unix_connection(sock=ours, limit=MAX_ANSWER_BYTES)
        except BaseException:
            ours.close()
            raise
        return cls(key, spawner, streams)

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def open(self, directory: Path) -> None:
        """Make a sandbox's folder, and have the process listen on a socket in it."""
        _make_folder(directory)
        try:
            await self.ask(Open(directory=str(directory)))
        except BaseException:
            remove_folder(directory)
            raise
        self.directory = directory

    async def ask(self, request: MemberRequest, within_s: float = ANSWER_S) -> Answer:
        """Return the answer; without one in time the process is killed, and its record lost."""
        try:
            async with asyncio.timeout(within_s), self._turn:
                self._writer.write(encode(request))
                answer: Answer = _ANSWERS.decode(await self._reader.readuntil(b"\n"))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
            self.kill()
            raise GatewayError(
                UNKNOWN_SOCKET, "The process of this socket has ended, and its record with it."
            ) from error
        if isinstance(answer, Failed):
            raise GatewayError(answer.code, answer.message)
        return answer

    async def record(self, request: MemberRequest) -> EgressEvidence:
        """Ask for what is answered with the record."""
        answer = await self.ask(request)
        if not isinstance(answer, Record):
            self.kill()
            raise GatewayError(UNKNOWN_SOCKET, "The process of this socket answered another thing.")
        return answer.evidence

    def kill(self) -> None:
        """Kill the process; its connections and its socket end with it."""
        self._spawner.kill(self._key)
        self._writer.transport.abort()

    def clear(self) -> None:
        """Remove the folder of the sandbox that it served."""
        if self.directory is not None:
            with contextlib.suppress(OSError):
                remove_folder(self.directory)
            self.directory = None

    def let_go(self) -> None:
        """Let the process end."""
        self._writer.close()

    async def end(self) -> None:
        """Let the process end, and wait until the link is closed here."""
        self.let_go()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _make_folder(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    directory.chmod(_FOLDER_MODE)  # whatever the umask


def remove_folder(directory: Path) -> None:
    """Remove a socket's folder, and nothing in it but the socket."""
    with contextlib.suppress(FileNotFoundError):
        (directory / SOCKET_NAME).unlink(missing_ok=True)
        directory.rmdir()
