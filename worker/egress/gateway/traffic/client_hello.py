"""Parses a TLS ClientHello, the unencrypted first message of a client.

Pure. RFC 8446 (4.1.2, 4.2, 5.1), RFC 6066 (3, server name) and RFC 7301 (ALPN); the extension of
Encrypted Client Hello has the number 0xfe0d. Browsers also send that extension with random
content (GREASE), which an observer cannot distinguish.
"""

from dataclasses import dataclass
from typing import Final

#: Type and length of a handshake message; the type of a ClientHello.
HEADER_BYTES: Final = 4
CLIENT_HELLO: Final = 1

_VERSION_AND_RANDOM: Final = 2 + 32
_MAX_SESSION_ID: Final = 32
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_ALPN: Final = 16
_EARLY_DATA: Final = 42
_ECH: Final = 0xFE0D


class HelloError(Exception):
    """The bytes are not a well-formed ClientHello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The fields that the gateway checks and records."""

    #: The host name, as raw bytes; empty if there is none.
    server_name: bytes = b""
    alpn: tuple[bytes, ...] = ()
    #: Whether it has the extension of Encrypted Client Hello; `server_name` is then the outer name.
    has_ech: bool = False
    #: Whether encrypted data may follow before the server answers (early data).
    has_early_data: bool = False


def parse_hello(body: bytes) -> ClientHello:
    """Parse the message after its header; raise `HelloError` if it is malformed."""
    rest = _Reader(body)
    rest.take(_VERSION_AND_RANDOM)
    if len(rest.vector(1)) > _MAX_SESSION_ID:
        raise HelloError
    suites, compressions = rest.vector(2), rest.vector(1)
    if not suites or len(suites) % 2 or not compressions:
        raise HelloError
    # A ClientHello of the oldest versions has no extensions.
    extensions = _extensions(rest.vector(2)) if rest.left else {}
    rest.end()
    return ClientHello(
        server_name=_server_name(extensions[_SERVER_NAME]) if _SERVER_NAME in extensions else b"",
        alpn=_alpn(extensions[_ALPN]) if _ALPN in extensions else (),
        has_ech=_ECH in extensions,
        has_early_data=_EARLY_DATA in extensions,
    )


def _extensions(data: bytes) -> dict[int, bytes]:
    """Return them by number; a duplicate is an error, because it is ambiguous."""
    found: dict[int, bytes] = {}
    rest = _Reader(data)
    while rest.left:
        number = rest.number(2)
        if number in found:
            raise HelloError
        found[number] = rest.vector(2)
    return found


def _server_name(data: bytes) -> bytes:
    """Return the one host name; other name types and a second name are errors."""
    rest = _Reader(data)
    names = _Reader(rest.vector(2))
    rest.end()
    if names.number(1) != _HOST_NAME:
        raise HelloError
    name = names.vector(2)
    names.end()
    if not name:
        raise HelloError
    return name


def _alpn(data: bytes) -> tuple[bytes, ...]:
    rest = _Reader(data)
    names = _Reader(rest.vector(2))
    rest.end()
    found: list[bytes] = []
    while names.left:
        found.append(names.vector(1))
    if not all(found) or not found:
        raise HelloError
    return tuple(found)


class _Reader:
    """Reads numbers and length-prefixed vectors, never beyond the end of the bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise HelloError
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> bytes:
        return self.take(self.number(width))

    def end(self) -> None:
        if self.left:
            raise HelloError
