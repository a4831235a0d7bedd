"""One client connection: uvicorn's HTTP/1.1 protocol with a time limit for every wait.

uvicorn itself limits only the pause between two requests. After each event, the present wait is
derived from the state of h11, the HTTP parser. One timer per connection checks the deadline.
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

#: uvicorn's log of connections. Clients cause its lines below ERROR, and could fill the disk.
HTTP_LOG: Final = logging.getLogger("safeurl.api.http")

#: Seconds after which a refused client may try again.
_RETRY_AFTER_S: Final = 5
#: The time for the rest of a body whose client already has the response. If the connection were
#: closed at once, it could be reset before the client has read the response.
_DRAIN_S: Final = 2.0
#: The time for a client to read its response while the server stops; shorter than the server's own
#: limit for the stop.
_LAST_S: Final = 5.0
#: The bytes that are read from a connection before the next one is served. asyncio's 256 KiB may
#: contain so many chunks of one byte that they take half a second.
_READ_AT_ONCE: Final = 4 * 1024
_CAN_ANSWER: Final = frozenset({h11.IDLE, h11.SEND_RESPONSE})


class Wait(StrEnum):
    """The event for which a connection waits."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    NEXT = "next"
    #: The client closes the connection after the last response.
    CLOSE = "close"


class Connection(H11Protocol):
    """A client's connection, which `clients` counts, with the limits of `clients`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # the type that uvicorn uses
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        clients: "Clients[Connection]",
    ) -> None:
        """Create the protocol of an accepted connection."""
        super().__init__(config, server_state, app_state, _loop)
        self.logger = HTTP_LOG
        self._clients = clients
        self._limits = clients.limits
        #: None if the server works on the request.
        self._wait: Wait | None = None
        self._deadline = math.inf
        #: The time of the last byte in or out, and the number of unsent bytes.
        self._moved_at = 0.0
        self._unsent = 0
        #: True if a part of the present request has arrived.
        self._has_begun = False
        #: The first time at which the response to the present request waited for the client.
        self._answer_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and close others for it or refuse it; uvicorn narrows the type."""
        super().connection_made(transport)
        # Writing is paused as soon as a byte is unsent, which shows that the client does not read.
        transport.set_write_buffer_limits(high=0)
        # asyncio sets this only for sockets of a named protocol. Without it, the body of a response
        # waits 40 ms for the acknowledgement of its head.
        accepted: socket.socket = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the client has closed already
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # asyncio's name for the most bytes of one read.
        transport.max_size = _READ_AT_ONCE  # type: ignore[attr-defined]
        admission = self._clients.admit(self, self.client[0] if self.client else "")
        if admission.refused is not None:
            self.app = _refusal(admission.refused)
        for connection, over in admission.dropped:
            connection.drop(over)
        self._begin(Wait.HEAD)
        self._check_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the count."""
        self._clients.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process the bytes of the client."""
        if self.transport.is_closing() or self._wait is Wait.CLOSE:
            return
        self._moved_at = self.loop.time()
        if self._wait is Wait.NEXT:
            self._begin(Wait.HEAD)
        self._has_begun = True
        super().data_received(data)
        self._update_wait(Wait.HEAD)

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        self._has_begun = False
        self._answer_since = None
        super().on_response_complete()
        self._update_wait(Wait.NEXT)

    def pause_writing(self) -> None:
        """Start the wait for a client that does not read."""
        super().pause_writing()
        self._update_wait(Wait.ANSWER)

    def resume_writing(self) -> None:
        """Continue, because all bytes were sent."""
        super().resume_writing()
        self._update_wait(Wait.NEXT)

    def shutdown(self) -> None:
        """Give a response a short time to end; do not wait for the rest of a request."""
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
        """Refuse bytes that are not HTTP, with h11's status, in the format of all our errors."""
        error = sys.exception()  # uvicorn calls this while it handles h11's exception
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        status = HTTPStatus(hint)
        self._refuse(error_response(status, status.name.lower(), msg))
        self._close_gently()

    def drop(self, over: Over) -> None:
        """Close the connection, which waits for its client, in favour of another one."""
        self._clients.leave(self)
        if self._has_begun and self._wait in {Wait.HEAD, Wait.BODY}:
            self._refuse(_refusal(over))
        self._end()

    def _update_wait(self, between: Wait) -> None:
        """Determine the present wait; `between` is the one between two requests."""
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
        """Start a wait for the client, or with None the work of the server."""
        now = self.loop.time()
        self._wait, self._moved_at = wait, now
        if wait is None:
            self._deadline = math.inf
            self._clients.works(self)
            return
        if wait is Wait.ANSWER:
            self._unsent = self.transport.get_write_buffer_size()
            # A client that reads a little from time to time does not restart this wait.
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
        """Return the time at which the present wait ends if nothing more arrives."""
        if self._wait is Wait.ANSWER:
            unsent = self.transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._unsent, self._moved_at = unsent, now
            return min(self._deadline, self._moved_at + self._limits.answer_stall_s)
        if self._wait is Wait.BODY:
            return min(self._deadline, self._moved_at + self._limits.body_stall_s)
        return self._deadline

    def _check_deadline(self) -> None:
        """Close the connection if its time is over; else check again later."""
        now = self.loop.time()
        if self._due(now) <= now:
            self._end_late()
            if self.transport.is_closing():
                return
        # A wait that starts meanwhile may end earlier than the present one.
        soonest = now + min(self._limits.idle_s, self._limits.head_s, _DRAIN_S)
        self._timer = self.loop.call_at(min(self._due(now), soonest), self._check_deadline)

    def _end_late(self) -> None:
        if self._has_begun and self._wait in {Wait.HEAD, Wait.BODY}:
            self._refuse(_LATE)
            self._close_gently()
        else:
            self._end()

    def _refuse(self, answer: JSONResponse) -> None:
        """Send a response without a route, if the protocol allows one now."""
        self._cancel_request()
        if self.conn.our_state in _CAN_ANSWER and not self.transport.is_closing():
            headers = [*answer.raw_headers, (b"connection", b"close")]
            response = h11.Response(status_code=answer.status_code, headers=headers)
            events = (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))

    def _cancel_request(self) -> None:
        """Tell the running route at once that the client no longer waits for the response."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _close_gently(self) -> None:
        """Send the end of the stream, and close when the client closes or after a short time.

        If a connection is closed with unread bytes, it is reset, and the last response may be lost.
        """
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            self._end()
            return
        try:
            self.transport.write_eof()
        except OSError:
            # The client has closed, and its system has reset the connection after our last bytes.
            self._end()
            return
        self._begin(Wait.CLOSE)

    def _end(self) -> None:
        """Close the connection now, even if its client has not read everything."""
        self._cancel_request()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def _refusal(over: Over) -> JSONResponse:
    """Return the response to a client over a cap; it is also an ASGI application."""
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
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request was not complete in time."
)
