"""One HTTP/1.1 request and its response on an open socket."""

import re
import socket
from collections.abc import Iterator

from msgspec.structs import replace

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError, deadline_passed
from fetcher.http.framing import BodyReader, UnchunkedReader, body_reader, framing_anomalies
from fetcher.http.head import Head, HeadReader, NoStatusLineError, NotHttpError
from safeurl.state import Outcome

_READ_BYTES = 64 * 1024

#: Maximum number of responses such as 103 Early Hints before the final one. Browsers have no limit.
MAX_INFORMATIONAL = 100
_INFORMATIONAL = range(100, 200)

#: Bytes that would end a header line, or the whole head, too early.
_FORBIDDEN = re.compile(rb"[\r\n\0]")
_TARGET = re.compile("[!-~]+")

#: A status line of streaming servers that browsers accept as HTTP/0.9 on any port.
_SHOUTCAST = b"icy"


class Http11RequiredError(Exception):
    """The server requires that the request is repeated with HTTP/1.1."""


class Exchange:
    """One request: call `send_get` first, then iterate over `pieces` of the body."""

    def __init__(
        self,
        connection: socket.socket,
        deadline: Deadline,
        *,
        is_secure: bool = False,
        is_default_port: bool = False,
    ) -> None:
        """Use an open socket; the caller remains responsible for closing it."""
        self._socket = connection
        self._deadline = deadline
        self._is_secure = is_secure
        self._is_default_port = is_default_port
        self._body: BodyReader = UnchunkedReader(0)
        self._rest = b""
        #: True if the connection ended before the body was complete.
        self.was_truncated = False

    @property
    def anomalies(self) -> tuple[str, ...]:
        """Anomalies of the body's framing; complete when the body has been read."""
        return tuple(self._body.anomalies)

    def send_get(self, target: str, headers: tuple[tuple[str, str | bytes], ...]) -> Head:
        """Send a GET request and return the head of the response."""
        lines = [b"%b: %b" % line for line in encode_headers(target, headers)]
        wire = b"\r\n".join((b"GET %b HTTP/1.1" % target.encode(), *lines, b"", b""))
        try:
            self._send(wire)
        except ConnectionError as error:
            raise no_response() from error
        head = self._read_head()
        self._body = body_reader(head)
        return head

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; raise `FetchFailedError` at the deadline or for invalid framing."""
        body, data = self._body, self._rest
        while True:
            piece = body.feed(data)
            if piece:
                yield piece
            if body.fault:
                raise invalid_response(body.fault)
            if body.is_complete:
                return
            data = self._receive("reading the body")
            if not data:
                self.was_truncated = self.was_truncated or not body.may_end_with_connection
                return

    def _read_head(self) -> Head:
        anomalies: list[str] = []
        for count in range(MAX_INFORMATIONAL):
            head = self._read_one_head(may_be_http09=not count)
            anomalies += [*head.anomalies, *framing_anomalies(head)]
            if head.status not in _INFORMATIONAL:
                return replace(head, anomalies=tuple(dict.fromkeys(anomalies)))
        raise too_many_informational()

    def _read_one_head(self, *, may_be_http09: bool) -> Head:
        reader = HeadReader()
        try:
            head = reader.feed(self._rest)
            while head is None:
                data = self._receive("waiting for the response")
                head = reader.feed(data) if data else self._head_at_end(reader)
        except NoStatusLineError as error:
            if not (may_be_http09 and self._is_http09(reader.rest)):
                raise invalid_response(error) from error
            head = Head(200, "HTTP/0.9", (), anomalies=("http_0_9",))
        except NotHttpError as error:
            raise invalid_response(error) from error
        self._rest = reader.rest
        return head

    def _head_at_end(self, reader: HeadReader) -> Head:
        """Return the head when the connection has ended within it or before it."""
        head = None if self.was_truncated else reader.end()
        if head is None:
            raise no_response()
        if self._is_secure and "head_cut" in head.anomalies:
            # Over TLS the truncation may be an attack; without TLS nothing can be verified, and
            # browsers accept it.
            raise invalid_response(NotHttpError("the connection ended within its headers"))
        return head

    def _is_http09(self, data: bytes) -> bool:
        """Return True if browsers treat bytes without a status line as a page."""
        is_stream = not self._is_secure and data[:3].lower() == _SHOUTCAST
        return bool(data) and (self._is_default_port or is_stream)

    def _send(self, wire: bytes) -> None:
        """Send all bytes; raise `ConnectionError` if the server has closed the connection."""
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            self._socket.sendall(wire)
        except TimeoutError as error:
            raise deadline_passed("sending the request") from error
        except OSError as error:
            raise ConnectionError from error

    def _receive(self, activity: str) -> bytes:
        if self._deadline.is_over():
            raise deadline_passed(activity)
        self._socket.settimeout(max(0.001, self._deadline.left()))
        try:
            return self._socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise deadline_passed(activity) from error
        except OSError:
            # After a reset or a TLS error the earlier bytes are kept, as after a regular end.
            self.was_truncated = True
            return b""


def encode_headers(
    target: str, headers: tuple[tuple[str, str | bytes], ...]
) -> list[tuple[bytes, bytes]]:
    """Return the headers as bytes; raise an error if one would add a line to the request."""
    lines = [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers
    ]
    if not _TARGET.fullmatch(target) or any(_FORBIDDEN.search(b"".join(line)) for line in lines):
        raise FetchFailedError(
            Outcome.HTTP_ERROR, "The request contains characters that cannot be sent."
        )
    return lines


def invalid_response(error: Exception | str) -> FetchFailedError:
    """Return the error for a response that no browser accepts."""
    return FetchFailedError(Outcome.HTTP_ERROR, f"The server's answer was not valid HTTP: {error}.")


def too_many_informational() -> FetchFailedError:
    """Return the error for a server that sends only informational responses."""
    return FetchFailedError(Outcome.HTTP_ERROR, "The server sent 1xx responses without end.")


def no_response() -> FetchFailedError:
    """Return the error for a connection that ends before the response."""
    return FetchFailedError(
        Outcome.HTTP_ERROR, "The server closed the connection without an answer."
    )
