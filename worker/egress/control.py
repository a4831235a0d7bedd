"""The gateway's end of the control socket: lines in, answers out, one after another."""

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Final

import msgspec

from safeurl import __version__
from safeurl.errors import ConfigError, EgressUnavailableError
from worker.egress.gateway import Gateway, GatewayError
from worker.egress.host import Host
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
    Surroundings,
    encode,
)
from worker.egress.surroundings import describe

_REQUESTS: Final = msgspec.json.Decoder(Request)


class Control:
    """Answers workers."""

    def __init__(self, gateway: Gateway, deny_cidrs: tuple[str, ...] = ()) -> None:
        """Note when the gateway began, and what its own settings deny."""
        self._gateway = gateway
        self._host = Host()
        self._deny_cidrs = deny_cidrs
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

    def _describe_host(self) -> Surroundings:
        return describe(self._host.networks(), self._deny_cidrs)

    async def _answer(self, line: bytes) -> Answer:
        try:
            return await self._do(_REQUESTS.decode(line))
        except GatewayError as error:
            return Failed(code=error.code, message=str(error))
        except (msgspec.DecodeError, ConfigError) as error:
            return Failed(code=BAD_REQUEST, message=f"The gateway cannot read this: {error}")
        except EgressUnavailableError as error:
            return Failed(code=UNAVAILABLE, message=str(error))
        except OSError as error:
            return Failed(code=UNAVAILABLE, message=f"The gateway cannot do this: {error}.")

    async def _do(self, request: Request) -> Answer:
        match request:
            case Create():
                return Created(id=self._gateway.create()[0])
            case Bind():
                self._gateway.bind(request)
                return Bound()
            case Collect():
                return Record(evidence=self._gateway.collect(request.id))
            case Close():
                return Record(evidence=await self._gateway.close(request.id))
            case List():
                return Listed(sockets=self._gateway.bound_to(request.instance))
            case Ping():
                return msgspec.structs.replace(self._pong, host=self._describe_host())


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line; nothing at the end, or where a line is too long to be ours."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return b""
