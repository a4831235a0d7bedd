"""The pool's kept connection to the gateway: it makes sockets, and shows a restart at once."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final, Self

import msgspec

from safeurl.errors import EgressUnavailableError
from safeurl.ports.egress import EgressEndpoint
from worker.egress.client.client import socket_folder
from worker.egress.protocol import (
    CONTROL_NAME,
    MAX_RESPONSE_BYTES,
    Close,
    Create,
    Created,
    Request,
    Response,
    encode,
)
from worker.egress.unix_socket import short_path
from worker.sandbox.pool.descriptors import has_ended

_TIMEOUT_S: Final = 10.0
_RESPONSES: Final = msgspec.json.Decoder(Response)


class GatewaySession:
    """One connection to one process of the gateway.

    All sockets that it has made belong to that process. When the process ends, the kernel closes
    the connection, and the sockets are gone. So a socket is usable only while `is_lost` is false.
    """

    def __init__(
        self, directory: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take an open connection; `open` makes one."""
        self._dir = directory
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, directory: Path) -> Self:
        """Connect to the gateway of this folder; raise EgressUnavailableError."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                with short_path(directory, CONTROL_NAME) as path:
                    streams = await asyncio.open_unix_connection(path, limit=MAX_RESPONSE_BYTES)
        except (OSError, TimeoutError) as error:
            raise EgressUnavailableError(f"The egress gateway does not answer: {error}.") from error
        return cls(directory, *streams)

    @property
    def is_lost(self) -> bool:
        """Whether the gateway has ended, or the connection is broken.

        The kernel is asked: the event loop may not have read the end of the connection yet.
        """
        if self._reader.at_eof() or self._writer.is_closing():
            return True
        return has_ended(self._writer.get_extra_info("socket").fileno())

    async def create(self) -> EgressEndpoint:
        """Make a socket, which refuses every request until it is bound."""
        made = await self._ask(Create())
        if not isinstance(made, Created):
            raise EgressUnavailableError("The egress gateway makes no socket.")
        return EgressEndpoint(id=made.id, directory=str(socket_folder(self._dir, made.id)))

    async def close_socket(self, endpoint: EgressEndpoint) -> None:
        """Remove a socket; do nothing if the gateway does not answer or does not know it."""
        with contextlib.suppress(EgressUnavailableError):
            await self._ask(Close(id=endpoint.id))

    def close(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()

    async def _ask(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._lock:
                self._writer.write(encode(request))
                response: Response = _RESPONSES.decode(await self._reader.readuntil(b"\n"))
                return response
        except (
            OSError,
            TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            msgspec.DecodeError,
        ) as error:
            # After a request without a response, the next response would be the wrong one.
            self.close()
            raise EgressUnavailableError(f"The egress gateway does not answer: {error}.") from error
        except asyncio.CancelledError:
            self.close()
            raise
