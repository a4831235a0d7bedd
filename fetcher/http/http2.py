"""One HTTP/2 request and its response (RFC 9113), over TLS that has agreed on it."""

import contextlib
import re
from collections import deque
from collections.abc import Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, HeaderTuple, HPACKError

from fetcher.failure import FetchFailedError
from fetcher.http.exchange import (
    MAX_INFORMATIONAL,
    Exchange,
    Http11RequiredError,
    checked,
    cut_off,
    endless,
    not_http,
)
from fetcher.http.head import HTTP_2, MAX_HEAD_BYTES, Head
from fetcher.http.http2_frames import GOAWAY, Frame, Frames

#: As Chromium gives them: of one stream, and what the connection has beyond its first 64 KiB.
_WINDOW_BYTES = 6 * 1024 * 1024
_MORE_WINDOW_BYTES = 15 * 1024 * 1024 - 65535
_TABLE_BYTES = 64 * 1024
_SETTINGS = {
    SettingCodes.HEADER_TABLE_SIZE: _TABLE_BYTES,
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
}
#: Meant for one connection of HTTP/1.1; the host has its place in `:authority`.
_NOT_SENT = frozenset({b"connection", b"host"})
_STREAM = 1
_STATUS = re.compile(rb"[0-9]{3,9}")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = (InformationalResponseReceived, ResponseReceived, DataReceived, StreamEnded, StreamReset)


class Http2Exchange(Exchange):
    """The exchange of a connection on which nothing else is asked."""

    def ask(self, target: str, headers: tuple[tuple[str, str | bytes], ...]) -> Head:
        """Send a GET and return the response's head."""
        lines = [(name.lower(), value) for name, value in checked(target, headers)]
        authority = next(value for name, value in lines if name == b"host")
        self._start()
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_MORE_WINDOW_BYTES)
        pseudo = [
            (b":method", b"GET"),
            (b":authority", authority),
            (b":scheme", b"https"),
            (b":path", target.encode()),
        ]
        rest = [line for line in lines if line[0] not in _NOT_SENT]
        try:
            self._http.send_headers(_STREAM, [*pseudo, *rest], end_stream=True)
        except ProtocolError as error:
            raise not_http(error) from error
        self._send(self._http.data_to_send())
        for _ in range(MAX_INFORMATIONAL):
            event = self._next("waiting for the response")
            if isinstance(event, ResponseReceived):
                return _head(event.headers)
            if not isinstance(event, InformationalResponseReceived):
                raise cut_off()
        raise endless()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes; raise `FetchFailedError` on deadline and broken framing."""
        while True:
            event = self._next("reading the body")
            if isinstance(event, DataReceived):
                if event.data:
                    yield bytes(event.data)
            elif isinstance(event, StreamEnded):
                return
            elif event is None or isinstance(event, StreamReset):
                self.was_cut = True
                return

    def _start(self) -> None:
        config = H2Configuration(
            client_side=True,
            header_encoding=None,
            # It refuses more than browsers do, and takes control characters.
            validate_inbound_headers=False,
        )
        self._http = H2Connection(config)
        self._http.decoder = self._decoder = _Decoder()
        self._http.local_settings = Settings(client=True, initial_values=_SETTINGS)
        # The library tells its decoder only of changes.
        self._http.decoder.max_header_list_size = MAX_HEAD_BYTES
        self._http.decoder.max_allowed_table_size = _TABLE_BYTES
        self._frames = Frames()
        self._events: deque[Event] = deque()
        self._is_over = False
        self._has_head = False
        self._fault: Exception | None = None

    def _next(self, doing: str) -> Event | None:
        """Return the next event of the request's stream; None where there will be no more.

        What came before a fault is given first, also where it came in the same packet.
        """
        while not self._events:
            if self._fault is not None:
                raise self._fault
            if self._is_over:
                return None
            data = self._receive(doing)
            self._is_over = not data
            self._read(data)
        return self._events.popleft()

    def _read(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
                if self._is_over or self._fault:
                    break
        except ProtocolError as error:
            self._fault = _broken(error)
        answer = self._http.data_to_send()
        if answer and not self._is_over:
            # One who has said all may have closed already: what was said is still read.
            with contextlib.suppress(ConnectionError):
                self._send(answer)

    def _take(self, frame: Frame) -> None:
        if frame.kind == GOAWAY:
            # The library takes nothing after it, though answers to what was asked still come.
            self._is_over = frame.error != ErrorCodes.NO_ERROR or frame.last_stream < _STREAM
            self._heed(frame.error)
            return
        for event in self._http.receive_data(frame.wire):
            if isinstance(event, ResponseReceived):
                self._has_head = True
                event.headers = [*self._decoder.whole]
            if isinstance(event, _OURS):
                self._events.append(event)
            if isinstance(event, DataReceived):
                self._http.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            elif isinstance(event, StreamReset):
                self._heed(event.error_code)

    def _heed(self, code: int | None) -> None:
        """Give up this version where the server wants the other, unless it has begun to answer."""
        if code == ErrorCodes.HTTP_1_1_REQUIRED and not self._has_head:
            self._fault = Http11RequiredError()
            self._events.clear()


class _Decoder(Decoder):
    """Keeps Content-Length from the library, which ends a response whose length is another.

    Browsers go by the stream's end alone.
    """

    def __init__(self) -> None:
        """Begin with no headers."""
        super().__init__()
        #: All of the last block.
        self.whole: list[HeaderTuple] = []

    def decode(self, data: bytes, raw: bool = True) -> list[HeaderTuple]:  # noqa: FBT001, FBT002 - the library's signature
        """Return the headers of a block."""
        self.whole = list(super().decode(data, raw))
        return [pair for pair in self.whole if pair[0] != b"content-length"]


def _broken(error: ProtocolError) -> FetchFailedError:
    """Return the error for frames that are none; of HPACK's the words hold addresses in memory."""
    is_packed = isinstance(error.__cause__, HPACKError)
    return not_http("a block of its headers cannot be unpacked" if is_packed else error)


def _head(headers: list[tuple[bytes, bytes]]) -> Head:
    """Return the head; raise where it is one that Chromium refuses."""
    status = dict(headers).get(b":status", b"")
    pairs = [(name, value.strip(b" \t")) for name, value in headers if name[:1] != b":"]
    if not _STATUS.fullmatch(status) or any(map(_is_refused, pairs)):
        raise not_http("its headers are not those of HTTP/2")
    return Head(
        status=int(status),
        http_version=HTTP_2,
        raw=tuple((bytes(name), bytes(value)) for name, value in pairs),
    )


def _is_refused(pair: tuple[bytes, bytes]) -> bool:
    name, value = pair
    is_written_well = _NAME.fullmatch(name) and not _CONTROL.search(value)
    return not is_written_well or name == b"transfer-encoding"
