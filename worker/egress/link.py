"""The gateway's end of the socket to the process that serves one sandbox."""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Final, Self

import msgspec

from safeurl.report import EgressEvidence
from worker.egress.place import listen_in
from worker.egress.protocol import (
    MAX_ANSWER_BYTES,
    SOCKET_NAME,
    UNKNOWN_SOCKET,
    Answer,
    Failed,
    MemberRequest,
    Record,
    encode,
)
from worker.egress.spawner import Spawner

_ANSWERS: Final = msgspec.json.Decoder(Answer)
#: A folder for anybody to enter and a socket for anybody to use: who sees them is decided by
#: the mount into the container, and on the host by the mode of the gateway's own folder.
_FOLDER_MODE: Final = 0o755
_SOCKET_MODE: Final = 0o666
_BACKLOG: Final = 128
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
    """One sandbox's process: asked one thing at a time, and killed where it does not answer."""

    def __init__(
        self,
        key: str,
        directory: Path,
        spawner: Spawner,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Take the streams of the link; `open` makes one."""
        self.directory = directory
        self._key = key
        self._spawner = spawner
        self._reader, self._writer = streams
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, key: str, directory: Path, spawner: Spawner) -> Self:
        """Make the sandbox's folder with its socket, and the process that serves it."""
        ours = _start(key, directory, spawner)
        streams = await asyncio.open_unix_connection(sock=ours, limit=MAX_ANSWER_BYTES)
        return cls(key, directory, spawner, streams)

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

    def remove(self) -> None:
        """Let the process go, and remove the folder."""
        self._writer.close()
        with contextlib.suppress(OSError):
            remove_folder(self.directory)


def _start(key: str, directory: Path, spawner: Spawner) -> socket.socket:
    """Make the folder, the listening socket and its process; return our end of the link."""
    directory.mkdir(mode=0o700)
    ours, theirs = socket.socketpair()
    try:
        directory.chmod(_FOLDER_MODE)
        with theirs, listen_in(directory, SOCKET_NAME, _SOCKET_MODE, _BACKLOG) as listener:
            spawner.spawn(key, listener, theirs)
    except BaseException:
        ours.close()
        remove_folder(directory)
        raise
    ours.settimeout(0)
    return ours


def remove_folder(directory: Path) -> None:
    """Remove a socket's folder, and nothing in it but the socket."""
    with contextlib.suppress(FileNotFoundError):
        (directory / SOCKET_NAME).unlink(missing_ok=True)
        directory.rmdir()
