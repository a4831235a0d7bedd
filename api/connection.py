"""One client connection: uvicorn's HTTP/1.1 protocol with a time limit on all it waits for.

uvicorn itself limits only the pause between two requests. What is waited for is derived from the
state of h11, the HTTP parser, after each event; one timer per connection looks at the deadline.
"""

import asyncio
import contextlib
import logging
import math
import socket
import sys
from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import h11
from starlette.responses import JSONResponse
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from api.clients import Clients, Over
from api.errors import error_response

#: What uvicorn says of connections. Below ERROR that is what clients do: they could fill a disk.
HTTP_LOG: Final = logging.getLogger("safeurl.api.http")

#: Seconds after which a client that was turned away may try again.
_RETRY_AFTER_S: Final = 5
#: A client that was answered before it had sent its body gets this long to end it, so that it reads
#: the answer: closed at once, the connection may be reset, and the answer with it.
_DRAIN_S: Final = 2.0
#: When the server stops, an answer has this long to be read: less than the server waits for all.
_LAST_S: Final = 5.0
#: What is read of a connection before the next one has its turn. asyncio's 256 KiB hold so many
#: chunks of one byte that they take half a second.
_READ_AT_ONCE: Final = 4 * 1024
_CAN_ANSWER: Final = frozenset({h11.IDLE, h11.SEND_RESPONSE})


class Wait(StrEnum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    NEXT = "next"
    #: That the client closes, which has been answered for good.
    CLOSE = "close"


class Connection(H11Protocol):
    """A client's connection, counted among `clients` and held to their limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # as uvicorn has it
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        clients: "Clients[Connection]",
    ) -> None:
        """Make the protocol of a connection that was just accepted."""
        super().__init__(config, server_state, app_state, _loop)
        self.logger = HTTP_LOG
        self._clients = clients
        self._limits = clients.limits
        #: None: the server works on the request.
        self._wait: Wait | None = None
        self._deadline = math.inf
        #: When the last byte came or went, and how many are left to go.
        self._moved_at = 0.0
        self._unsent = 0
        #: Whether something of the request that is waited for has come.
        self._has_begun = False
        #: When the answer to the present request had to wait for its reader first.
        self._answer_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and make room for it or refuse it; uvicorn narrows the type."""
        super().connection_made(transport)
        # Paused whenever anything is unsent: so it is known that the client does not read.
        transport.set_write_buffer_limits(high=0)
        # asyncio does so only for sockets of a named protocol. Without it, the body of an answer
        # waits for the acknowledgement of its head, 40 ms.
        accepted: socket.socket = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # a client that has gone already
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # asyncio's own name for what it reads at once.
        transport.max_size = _READ_AT_ONCE  # type: ignore[attr-defined]
        admission = self._clients.admit(self, self.client[0] if self.client else "")
        if admission.refused is not None:
            self.app = _refusal(admission.refused)
        for connection, over in admission.dropped:
            connection.drop(over)
        self._begin(Wait.HEAD)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no more."""
        self._clients.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the client has sent."""
        if self.transport.is_closing() or self._wait is Wait.CLOSE:
            return
        self._moved_at = self.loop.time()
        if self._wait is Wait.NEXT:
            self._begin(Wait.HEAD)
        self._has_begun = True
        super().data_received(data)
        self._settle(Wait.HEAD)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._has_begun = False
        self._answer_since = None
        super().on_response_complete()
        self._settle(Wait.NEXT)

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._settle(Wait.ANSWER)

    def resume_writing(self) -> None:
        """Go on: all was read."""
        super().resume_writing()
        self._settle(Wait.NEXT)

    def shutdown(self) -> None:
        """Let an answer end, soon; do not wait for a request that has not come whole."""
        self._limits = replace(self._limits, answer_s=_LAST_S, answer_stall_s=_LAST_S)
        if self._wait is Wait.ANSWER:
            self._deadline = min(self._deadline, self.loop.time() + _LAST_S)
        if self.transport.is_closing():
            return
        if self._wait in {Wait.BODY, Wait.CLOSE}:
            self._end()
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with h11's own status, in the shape that all our errors have."""
        error = sys.exception()  # uvicorn calls this where it catches h11's
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        status = HTTPStatus(hint)
        self._refuse(error_response(status, status.name.lower(), msg))
        self._close_gently()

    def drop(self, over: Over) -> None:
        """End the connection, which waits for its client, to make room for another one."""
        self._clients.leave(self)
        if self._has_begun and self._wait in {Wait.HEAD, Wait.BODY}:
            self._refuse(_refusal(over))
        self._end()

    def _settle(self, between: Wait) -> None:
        """Find out what is waited for now; `between` two requests it is this."""
        if self._wait is Wait.CLOSE:
            return
        if self.flow.write_paused:
            wait: Wait | None = Wait.ANSWER
        elif self.conn.their_state is h11.SEND_BODY:
            wait = Wait.BODY
        elif self.cycle is not None and not self.cycle.response_complete:
            wait = None
        else:
            wait = between
        is_drained = wait is Wait.BODY and self.cycle.response_complete
        if wait is not self._wait:
            self._begin(wait)
        if is_drained:
            self._deadline = min(self._deadline, self.loop.time() + _DRAIN_S)

    def _begin(self, wait: Wait | None) -> None:
        """Begin to wait for something of the client, or, with None, to work."""
        now = self.loop.time()
        self._wait, self._moved_at = wait, now
        if wait is None:
            self._deadline = math.inf
            self._clients.works(self)
            return
        if wait is Wait.ANSWER:
            self._unsent = self.transport.get_write_buffer_size()
            # Reading on a little from time to time does not start it anew.
            self._answer_since = now if self._answer_since is None else self._answer_since
            self._deadline = self._answer_since + self._limits.answer_s
        else:
            times = {
                Wait.HEAD: self._limits.head_s,
                Wait.BODY: self._limits.body_s,
                Wait.NEXT: self._limits.idle_s,
                Wait.CLOSE: _DRAIN_S,
            }
            self._deadline = now + times[wait]
        self._clients.waits(self)

    def _due(self, now: float) -> float:
        """Return when the present wait ends if nothing more comes."""
        if self._wait is Wait.ANSWER:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._unsent, self._moved_at = unsent, now
            return min(self._deadline, self._moved_at + self._limits.answer_stall_s)
        if self._wait is Wait.BODY:
            return min(self._deadline, self._moved_at + self._limits.body_stall_s)
        return self._deadline

    def _look(self) -> None:
        """End the connection if its time is over, else look again when it may be."""
        now = self.loop.time()
        if self._due(now) <= now:
            self._end_late()
            if self.transport.is_closing():
                return
        # What begins meanwhile may be due sooner than what is waited for now.
        soonest = now + min(self._limits.idle_s, self._limits.head_s, _DRAIN_S)
        self._timer = self.loop.call_at(min(self._due(now), soonest), self._look)

    def _end_late(self) -> None:
        if self._has_begun and self._wait in {Wait.HEAD, Wait.BODY}:
            self._refuse(_LATE)
            self._close_gently()
        else:
            self._end()

    def _refuse(self, answer: JSONResponse) -> None:
        """Send an answer outside of any route, where one can be sent."""
        self._abandon()
        if self.conn.our_state in _CAN_ANSWER and not self.transport.is_closing():
            headers = [*answer.raw_headers, (b"connection", b"close")]
            response = h11.Response(status_code=answer.status_code, headers=headers)
            events = (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))

    def _abandon(self) -> None:
        """Let what works on the request know at once that its answer is not wanted any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _close_gently(self) -> None:
        """Say that nothing more follows, and close when the client does, or soon.

        Closed with bytes unread, a connection is reset, and what was sent last may be lost.
        """
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self._end()
            return
        try:
            self.transport.write_eof()
        except OSError:
            # The client has gone, and its system has reset the connection for what was just sent.
            self._end()
            return
        self._begin(Wait.CLOSE)

    def _end(self) -> None:
        """Close the connection now, whatever its client has not read yet."""
        self._abandon()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def _refusal(over: Over) -> JSONResponse:
    """Return the answer to a client over a cap; it is an ASGI application, too."""
    retry = {"retry-after": str(_RETRY_AFTER_S)}
    if over is Over.CLIENT:
        return error_response(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_connections",
            "This address has too many connections open. Close some, and try again.",
            headers={**retry, "connection": "close"},
        )
    return error_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_clients",
        "Too many clients are connected. Try again later.",
        headers={**retry, "connection": "close"},
    )


_LATE: Final = error_response(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not come whole in time."
)
