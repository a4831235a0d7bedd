"""One HTTP/1.1 request and its response over an open socket."""

import re
import socket
from collections.abc import Iterator
from dataclasses import replace

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError, timed_out
from fetcher.http.framing import BodyReader, Rest, anomalies, body_reader
from fetcher.http.head import Head, HeadReader, NamelessError, NotHttpError
from safeurl.state import Outcome

_READ_BYTES = 64 * 1024

#: 103 Early Hints and the like, before the real response; browsers count them not.
MAX_INFORMATIONAL = 100
_INFORMATIONAL = range(100, 200)

#: What would end a line of the request, or the request, before its end.
_BREAKING = re.compile(rb"[\r\n\0]")
_TARGET = re.compile("[!-~]+")

#: A server of streams that browsers read as HTTP/0.9 on any port.
_SHOUTCAST = b"icy"


class Http11RequiredError(Exception):
    """The server wants to be asked again by HTTP/1.1."""


class Exchange:
    """A request on its way; `ask` first, then `pieces` of the body."""

    def __init__(
        self,
        connection: socket.socket,
        deadline: Deadline,
        *,
        is_secure: bool = False,
        is_default_port: bool = False,
    ) -> None:
        """Take over an open socket; the caller still closes it."""
        self._socket = connection
        self._deadline = deadline
        self._is_secure = is_secure
        self._is_default_port = is_default_port
        self._body: BodyReader = Rest(0)
        self._rest = b""
        #: Set when the connection broke before the body was complete.
        self.was_cut = False

    @property
    def anomalies(self) -> tuple[str, ...]:
        """Words for what was odd about the body's framing, once it has been read."""
        return tuple(self._body.anomalies)

    def ask(self, target: str, headers: tuple[tuple[str, str | bytes], ...]) -> Head:
        """Send a GET and return the response's head."""
        lines = [b"%b: %b" % line for line in checked(target, headers)]
        wire = b"\r\n".join((b"GET %b HTTP/1.1" % target.encode(), *lines, b"", b""))
        try:
            self._send(wire)
        except ConnectionError as error:
            raise cut_off() from error
        head = self._head()
        self._body = body_reader(head)
        return head

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes; raise `FetchFailedError` on deadline and broken framing."""
        body, data = self._body, self._rest
        while True:
            piece = body.feed(data)
            if piece:
                yield piece
            if body.fault:
                raise not_http(body.fault)
            if body.is_whole:
                return
            data = self._receive("reading the body")
            if not data:
                self.was_cut = self.was_cut or not body.may_end
                return

    def _head(self) -> Head:
        notes: list[str] = []
        for count in range(MAX_INFORMATIONAL):
            head = self._next_head(may_be_nameless=not count)
            notes += [*head.anomalies, *anomalies(head)]
            if head.status not in _INFORMATIONAL:
                return replace(head, anomalies=tuple(dict.fromkeys(notes)))
        raise endless()

    def _next_head(self, *, may_be_nameless: bool) -> Head:
        reader = HeadReader()
        try:
            head = reader.feed(self._rest)
            while head is None:
                data = self._receive("waiting for the response")
                head = reader.feed(data) if data else self._last(reader)
        except NamelessError as error:
            if not (may_be_nameless and self._is_http09(reader.rest)):
                raise not_http(error) from error
            head = Head(200, "HTTP/0.9", (), anomalies=("http_0_9",))
        except NotHttpError as error:
            raise not_http(error) from error
        self._rest = reader.rest
        return head

    def _last(self, reader: HeadReader) -> Head:
        """Return what a head says that the connection's end has cut short."""
        head = None if self.was_cut else reader.end()
        if head is None:
            raise cut_off()
        if self._is_secure and "head_cut" in head.anomalies:
            # Only who encrypts can tell that nobody has cut it on its way.
            raise not_http(NotHttpError("the connection ended within its headers"))
        return head

    def _is_http09(self, data: bytes) -> bool:
        """Tell whether browsers take bytes without a status line for a page."""
        is_stream = not self._is_secure and data[:3].lower() == _SHOUTCAST
        return bool(data) and (self._is_default_port or is_stream)

    def _send(self, wire: bytes) -> None:
        """Send all; raise `ConnectionError` where nobody takes it any more."""
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            self._socket.sendall(wire)
        except TimeoutError as error:
            raise timed_out("sending the request") from error
        except OSError as error:
            raise ConnectionError from error

    def _receive(self, doing: str) -> bytes:
        if self._deadline.is_over():
            raise timed_out(doing)
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            return self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise timed_out(doing) from error
        except OSError:
            # Reset, or broken TLS: what came before it is kept, as at an orderly end.
            self.was_cut = True
            return b""


def checked(target: str, headers: tuple[tuple[str, str | bytes], ...]) -> list[tuple[bytes, bytes]]:
    """Return the headers' bytes; what came from a page cannot add a line to a request."""
    lines = [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers
    ]
    if not _TARGET.fullmatch(target) or any(_BREAKING.search(b"".join(line)) for line in lines):
        raise FetchFailedError(Outcome.HTTP_ERROR, "The request holds what cannot be sent.")
    return lines


def not_http(error: Exception | str) -> FetchFailedError:
    """Return the error for bytes that no browser reads."""
    return FetchFailedError(Outcome.HTTP_ERROR, f"The server's answer was not valid HTTP: {error}.")


def endless() -> FetchFailedError:
    """Return the error for a server that never comes to its response."""
    return FetchFailedError(Outcome.HTTP_ERROR, "The server sent 1xx responses without end.")


def cut_off() -> FetchFailedError:
    """Return the error for a connection that ends before its response."""
    return FetchFailedError(
        Outcome.HTTP_ERROR, "The server closed the connection without an answer."
    )
