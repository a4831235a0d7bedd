"""The gateway's side of the control socket: reads requests and sends responses, in order."""

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
from worker.egress.networks.inventory import summarize
from worker.egress.networks.local_addresses import HostNetworkMonitor
from worker.egress.protocol import (
    BAD_REQUEST,
    FORBIDDEN,
    UNAVAILABLE,
    Bind,
    Bound,
    Close,
    Collect,
    Create,
    Created,
    Failed,
    List,
    Listed,
    NetworkInventory,
    Ping,
    Pong,
    Record,
    Request,
    Response,
    encode,
)

_log = logging.getLogger("safeurl.egress")

#: How long a user who is not allowed may take to send a request, and how many may at a time.
_REFUSAL_TIMEOUT_S: Final = 2.0
_MAX_REFUSALS: Final = 16
#: The refusals of one user are logged once in this time; the number of users remembered for that.
_LOG_INTERVAL_S: Final = 60.0
_MAX_LOGGED_USERS: Final = 1024
_REQUESTS: Final = msgspec.json.Decoder(Request)


class Control:
    """Serves the requests of workers."""

    def __init__(self, gateway: Gateway, peers: Peers, deny_cidrs: tuple[str, ...] = ()) -> None:
        """Take the allowed users and the gateway's own denied ranges; note the start time."""
        self._gateway = gateway
        self._peers = peers
        self._refusals = 0
        self._logged_at_s: dict[int, float] = {}
        self._networks = HostNetworkMonitor()
        self._deny_cidrs = deny_cidrs
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._pong = Pong(version=__version__, pid=os.getpid(), started_at=started_at)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve requests until the client closes; a user who is not allowed gets one refusal."""
        try:
            # It is cancelled only when the gateway ends, where asyncio would log a traceback for
            # each connection that a worker keeps open.
            with contextlib.suppress(
                OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                peer = peer_of(writer.get_extra_info("socket"))
                if not self._peers.admits(peer):
                    await self._refuse(peer, reader, writer)
                    return
                while line := await _read_line(reader):
                    writer.write(encode(await self._respond(line)))
                    await writer.drain()
        finally:
            writer.close()

    async def _refuse(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read the request, then refuse it: a client that cannot write would not read."""
        self._log_refused(peer)
        if self._refusals >= _MAX_REFUSALS:
            return
        self._refusals += 1
        try:
            async with asyncio.timeout(_REFUSAL_TIMEOUT_S):
                await _read_line(reader)
                message = (
                    f"The egress gateway does not serve the user with the id {peer.uid}. It "
                    "serves root, its own user and EGRESS_CONTROL_USERS."
                )
                writer.write(encode(Failed(code=FORBIDDEN, message=message)))
                await writer.drain()
        finally:
            self._refusals -= 1

    def _log_refused(self, peer: Peer) -> None:
        """Log the refusal, at most once per interval and user, so that the log stays small."""
        now_s = time.monotonic()
        if now_s - self._logged_at_s.get(peer.uid, -_LOG_INTERVAL_S) >= _LOG_INTERVAL_S:
            if len(self._logged_at_s) >= _MAX_LOGGED_USERS:
                self._logged_at_s.clear()
            self._logged_at_s[peer.uid] = now_s
            _log.warning("egress.control_refused uid=%d pid=%d", peer.uid, peer.pid)

    def _inventory(self) -> NetworkInventory:
        return summarize(self._networks.networks(), self._deny_cidrs)

    async def _respond(self, line: bytes) -> Response:
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

    async def _do(self, request: Request) -> Response:
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
                return msgspec.structs.replace(self._pong, host=self._inventory())


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line; empty at the end, or if the line is too long."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        return b""
