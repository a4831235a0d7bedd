"""One HTTP/2 request and its response (RFC 9113), over TLS with ALPN `h2`."""

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
    encode_headers,
    invalid_response,
    no_response,
    too_many_informational,
)
from fetcher.http.head import HTTP_2, MAX_HEAD_BYTES, Head
from fetcher.http.http2_frames import GOAWAY, Frame, Frames

#: Chromium's values: the window of one stream, and the connection's window beyond its 64 KiB.
_WINDOW_BYTES = 6 * 1024 * 1024
_MORE_WINDOW_BYTES = 15 * 1024 * 1024 - 65535
_TABLE_BYTES = 64 * 1024
_SETTINGS = {
    SettingCodes.HEADER_TABLE_SIZE: _TABLE_BYTES,
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
}
#: Headers of HTTP/1.1 only; in HTTP/2 `:authority` replaces `host`.
_NOT_SENT = frozenset({b"connection", b"host"})
_STREAM = 1
_STATUS = re.compile(rb"[0-9]{3,9}")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HANDLED_EVENTS = (
    InformationalResponseReceived,
    ResponseReceived,
    DataReceived,
    StreamEnded,
    StreamReset,
)


class Http2Exchange(Exchange):
    """The only request on an HTTP/2 connection."""

    def send_get(self, target: str, headers: tuple[tuple[str, str | bytes], ...]) -> Head:
        """Send a GET request and return the head of the response."""
        lines = [(name.lower(), value) for name, value in encode_headers(target, headers)]
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
            raise invalid_response(error) from error
        self._send(self._http.data_to_send())
        for _ in range(MAX_INFORMATIONAL):
            event = self._next("waiting for the response")
            if isinstance(event, ResponseReceived):
                return _make_head(event.headers)
            if not isinstance(event, InformationalResponseReceived):
                raise no_response()
        raise too_many_informational()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; raise `FetchFailedError` at the deadline or for invalid framing."""
        while True:
            event = self._next("reading the body")
            if isinstance(event, DataReceived):
                if event.data:
                    yield bytes(event.data)
            elif isinstance(event, StreamEnded):
                return
            elif event is None or isinstance(event, StreamReset):
                self.was_truncated = True
                return

    def _start(self) -> None:
        config = H2Configuration(
            client_side=True,
            header_encoding=None,
            # The library's validation refuses headers that browsers accept, and accepts control
            # characters.
            validate_inbound_headers=False,
        )
        self._http = H2Connection(config)
        self._http.decoder = self._decoder = _Decoder()
        self._http.local_settings = Settings(client=True, initial_values=_SETTINGS)
        # The library updates the decoder's limits only when settings change.
        self._http.decoder.max_header_list_size = MAX_HEAD_BYTES
        self._http.decoder.max_allowed_table_size = _TABLE_BYTES
        self._frames = Frames()
        self._events: deque[Event] = deque()
        self._is_closed = False
        self._has_head = False
        self._fault: Exception | None = None

    def _next(self, activity: str) -> Event | None:
        """Return the next event of the request's stream; None if no more will come.

        Events before an error are returned first, even if they arrived in the same packet.
        """
        while not self._events:
            if self._fault is not None:
                raise self._fault
            if self._is_closed:
                return None
            data = self._receive(activity)
            self._is_closed = not data
            self._read(data)
        return self._events.popleft()

    def _read(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._process_frame(frame)
                if self._is_closed or self._fault:
                    break
        except ProtocolError as error:
            self._fault = _frame_error(error)
        output = self._http.data_to_send()
        if output and not self._is_closed:
            # The server may have closed the connection after its last frame. What it sent is still
            # read.
            with contextlib.suppress(ConnectionError):
                self._send(output)

    def _process_frame(self, frame: Frame) -> None:
        if frame.kind == GOAWAY:
            # The library accepts no frames after a GOAWAY, but responses to earlier requests may
            # follow.
            self._is_closed = frame.error != ErrorCodes.NO_ERROR or frame.last_stream < _STREAM
            self._handle_error_code(frame.error)
            return
        for event in self._http.receive_data(frame.wire):
            if isinstance(event, ResponseReceived):
                self._has_head = True
                event.headers = [*self._decoder.all_headers]
            if isinstance(event, _HANDLED_EVENTS):
                self._events.append(event)
            if isinstance(event, DataReceived):
                self._http.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            elif isinstance(event, StreamReset):
                self._handle_error_code(event.error_code)

    def _handle_error_code(self, code: int | None) -> None:
        """Switch to HTTP/1.1 if the server requires it and has not sent a head yet."""
        if code == ErrorCodes.HTTP_1_1_REQUIRED and not self._has_head:
            self._fault = Http11RequiredError()
            self._events.clear()


class _Decoder(Decoder):
    """Hides Content-Length from the library, which ends a response of another length with an error.

    Browsers use only the end of the stream.
    """

    def __init__(self) -> None:
        """Start without headers."""
        super().__init__()
        #: All headers of the last block.
        self.all_headers: list[HeaderTuple] = []

    def decode(self, data: bytes, raw: bool = True) -> list[HeaderTuple]:  # noqa: FBT001, FBT002 - the library's signature
        """Return the headers of a block."""
        self.all_headers = list(super().decode(data, raw))
        return [pair for pair in self.all_headers if pair[0] != b"content-length"]


def _frame_error(error: ProtocolError) -> FetchFailedError:
    """Return the error for invalid frames.

    The message of an HPACK error contains memory addresses, so another one replaces it.
    """
    is_packed = isinstance(error.__cause__, HPACKError)
    return invalid_response("a block of its headers cannot be decoded" if is_packed else error)


def _make_head(headers: list[tuple[bytes, bytes]]) -> Head:
    """Return the head; raise an error if Chromium refuses it."""
    status = dict(headers).get(b":status", b"")
    pairs = [(name, value.strip(b" \t")) for name, value in headers if name[:1] != b":"]
    if not _STATUS.fullmatch(status) or any(map(_is_invalid, pairs)):
        raise invalid_response("its headers are not valid in HTTP/2")
    return Head(
        status=int(status),
        http_version=HTTP_2,
        raw=tuple((bytes(name), bytes(value)) for name, value in pairs),
    )


def _is_invalid(pair: tuple[bytes, bytes]) -> bool:
    name, value = pair
    is_well_formed = _NAME.fullmatch(name) and not _CONTROL.search(value)
    return not is_well_formed or name == b"transfer-encoding"
