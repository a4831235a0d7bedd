"""The gateway's end of the control socket: lines in, answers out, one after another."""

import asyncio
import contextlib
import logging
import os
import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from safeurl import __version__
from safeurl.errors import ConfigError, EgressUnavailableError
from worker.egress.gateway.link import GatewayError
from worker.egress.gateway.peers import Peer, Peers, peer_of
from worker.egress.gateway.registry import Gateway
from worker.egress.networks.local_addresses import Host
from worker.egress.networks.surroundings import describe
from worker.egress.protocol import (
    BAD_REQUEST,
    FORBIDDEN,
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

_log = logging.getLogger("safeurl.egress")

#: How long one who is not served may take to ask, and how many of them may at a time.
_STRANGER_S: Final = 2.0
_MAX_STRANGERS: Final = 16
#: A user's refusals are logged once in so long; so many users are remembered for that.
_TOLD_S: Final = 60.0
_MAX_TOLD: Final = 1024
_REQUESTS: Final = msgspec.json.Decoder(Request)


class Control:
    """Answers workers."""

    def __init__(self, gateway: Gateway, peers: Peers, deny_cidrs: tuple[str, ...] = ()) -> None:
        """Take who is served and what the gateway's own settings deny; note when it began."""
        self._gateway = gateway
        self._peers = peers
        self._strangers = 0
        self._told_s: dict[int, float] = {}
        self._host = Host()
        self._deny_cidrs = deny_cidrs
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._pong = Pong(version=__version__, pid=os.getpid(), started_at=started_at)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other side has no more requests; a stranger gets one refusal."""
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                peer = peer_of(writer.get_extra_info("socket"))
                if not self._peers.admits(peer):
                    await self._refuse(peer, reader, writer)
                    return
                while line := await _read_line(reader):
                    writer.write(encode(await self._answer(line)))
                    await writer.drain()
        finally:
            writer.close()

    async def _refuse(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Say so once the request has come: who is cut off while it writes does not read."""
        self._log_refused(peer)
        if self._strangers >= _MAX_STRANGERS:
            return
        self._strangers += 1
        try:
            async with asyncio.timeout(_STRANGER_S):
                await _read_line(reader)
                message = (
                    f"The egress gateway does not serve the user with the id {peer.uid}. It "
                    "serves root, its own user and EGRESS_CONTROL_USERS."
                )
                writer.write(encode(Failed(code=FORBIDDEN, message=message)))
                await writer.drain()
        finally:
            self._strangers -= 1

    def _log_refused(self, peer: Peer) -> None:
        """Log it, but not so often that a process that tries again and again fills the log."""
        now_s = time.monotonic()
        if now_s - self._told_s.get(peer.uid, -_TOLD_S) >= _TOLD_S:
            if len(self._told_s) >= _MAX_TOLD:
                self._told_s.clear()
            self._told_s[peer.uid] = now_s
            _log.warning("egress.control_refused uid=%d pid=%d", peer.uid, peer.pid)

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
                return msgspec.structs.replace(self._pong, host=self._describe_host())


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line; nothing at the end, or where a line is too long to be ours."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return b""
