"""The gateway's end of the control socket: lines in, answers out, one after another."""

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Final

import msgspec

from safeurl import __version__
from safeurl.errors import ConfigError
from worker.egress.gateway import Gateway
from worker.egress.link import GatewayError
from worker.egress.protocol import (
    BAD_REQUEST,
    UNAVAILABLE,
    Answer,
    Bind,
    Bound,
    Close,
    Collect,
    Create,
    Created,
    Failed,
    List,
    Listed,
    Ping,
    Pong,
    Record,
    Request,
    encode,
)

_REQUESTS: Final = msgspec.json.Decoder(Request)


class Control:
    """Answers workers."""

    def __init__(self, gateway: Gateway) -> None:
        """Note when the gateway began."""
        self._gateway = gateway
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._pong = Pong(version=__version__, pid=os.getpid(), started_at=started_at)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other side has no more requests."""
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while line := await _read_line(reader):
                    writer.write(encode(await self._answer(line)))
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            return await self._do(_REQUESTS.decode(line))
        except GatewayError as error:
            return Failed(code=error.code, message=str(error))
        except (msgspec.DecodeError, ConfigError) as error:
            return Failed(code=BAD_REQUEST, message=f"The gateway cannot read this: {error}")
        except OSError as error:
            return Failed(code=UNAVAILABLE, message=f"The gateway cannot do this: {error}.")

    async def _do(self, request: Request) -> Answer:
        match request:
            case Create():
                return Created(id=(await self._gateway.create())[0])
            case Bind():
                await self._gateway.bind(request)
                return Bound()
            case Collect():
                return Record(evidence=await self._gateway.collect(request.id))
            case Close():
                return Record(evidence=await self._gateway.close(request.id))
            case List():
                return Listed(sockets=self._gateway.bound_to(request.instance))
            case Ping():
                return self._pong


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line; nothing at the end, or where a line is too long to be ours."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return b""
