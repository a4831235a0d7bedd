"""One HTTP/1.1 request and its response over an open socket."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import h11

from fetcher.clean import from_header
from fetcher.deadline import Deadline
from fetcher.ending import FetchFailedError, timed_out
from safeurl.state import Outcome

_READ_BYTES = 64 * 1024

#: Browsers take 256 KiB of headers; some more, so that ten thousand of them are still evidence.
_MAX_HEAD_BYTES = 512 * 1024

#: 103 Early Hints and the like, before the real response.
_MAX_INFORMATIONAL = 20


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers, as received."""

    status: int
    http_version: str
    headers: tuple[tuple[str, str], ...]
    #: The same as bytes: what is sent on or resolved must not lose them.
    raw: tuple[tuple[bytes, bytes], ...] = ()

    def raw_values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the bytes of all headers of this name (lower-case)."""
        return tuple(value for key, value in self.raw if key.lower() == name)

    def value(self, name: str) -> str:
        """Return the first header of this name (lower-case), or an empty text."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def values(self, name: str) -> tuple[str, ...]:
        """Return all headers of this name (lower-case)."""
        return tuple(value for key, value in self.headers if key.lower() == name)


class Exchange:
    """A request on its way; `ask` first, then `pieces` of the body."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        """Take over an open socket; the caller still closes it."""
        self._socket = connection
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._is_ended = False
        #: Set when the connection broke before the body was complete.
        self.was_cut = False

    def ask(self, target: str, headers: tuple[tuple[str, str | bytes], ...]) -> Head:
        """Send a GET and return the response's head."""
        try:
            fields = [(x.encode(), y if isinstance(y, bytes) else y.encode()) for x, y in headers]
            request = h11.Request(method="GET", target=target, headers=fields)
            wire = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise _not_http(error) from error
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            self._socket.sendall(wire)
        except TimeoutError as error:
            raise timed_out("sending the request") from error
        except OSError as error:
            raise _cut_off() from error
        return self._head()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes; raise `FetchFailedError` on deadline and broken framing."""
        while True:
            event = self._event("reading the body")
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                return

    def _head(self) -> Head:
        for _ in range(_MAX_INFORMATIONAL):
            event = self._event("waiting for the response")
            if isinstance(event, h11.Response):
                return Head(
                    status=event.status_code,
                    http_version=f"HTTP/{event.http_version.decode('ascii')}",
                    headers=tuple(
                        (from_header(name), from_header(value))
                        for name, value in event.headers.raw_items()
                    ),
                    raw=tuple((bytes(x), bytes(y)) for x, y in event.headers.raw_items()),
                )
            if not isinstance(event, h11.InformationalResponse):
                raise _cut_off()
        raise FetchFailedError(Outcome.HTTP_ERROR, "The server sent 1xx responses without end.")

    def _event(self, doing: str) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                if self._is_ended:
                    self.was_cut = True
                    return h11.ConnectionClosed()
                raise _not_http(error) from error
            if isinstance(event, h11.Event):
                return event
            # It needs data; PAUSED does not happen, since nothing else was asked for.
            self._http.receive_data(self._receive(doing))

    def _receive(self, doing: str) -> bytes:
        if self._deadline.is_over():
            raise timed_out(doing)
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise timed_out(doing) from error
        except OSError:
            # Reset, or broken TLS: what came before it is kept, as at an orderly end.
            data, self.was_cut = b"", True
        self._is_ended = not data
        return data


def _not_http(error: Exception) -> FetchFailedError:
    return FetchFailedError(Outcome.HTTP_ERROR, f"The server's answer was not valid HTTP: {error}.")


def _cut_off() -> FetchFailedError:
    return FetchFailedError(
        Outcome.HTTP_ERROR, "The server closed the connection without an answer."
    )
