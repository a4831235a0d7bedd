"""Buffers the first bytes of a tunnel until their ClientHello was checked. Pure.

A tunnel is opened for one host. A ClientHello that names another host would reach a site at the
same address that the evidence does not name. Bytes that are not TLS pass unchecked.
"""

from ipaddress import ip_address
from typing import Final

from ada_url import idna_to_ascii

from worker.egress.gateway.traffic.accounting import Entry
from worker.egress.gateway.traffic.client_hello import (
    CLIENT_HELLO,
    HEADER_BYTES,
    ClientHello,
    HelloError,
    parse_hello,
)

#: The rules of refusals.
SNI_MISMATCH: Final = "sni_mismatch"
TLS_MALFORMED: Final = "tls_malformed"
TLS_TIMEOUT: Final = "tls_timeout"
#: How long a ClientHello may take from its first byte on.
HELLO_TIMEOUT_S: Final = 10.0
#: A ClientHello with post-quantum keys has about 2 KiB; OpenSSL accepts 16 KiB, Go 64. This count
#: includes the record headers.
MAX_HELD_BYTES: Final = 64 * 1024

_RECORD_HEAD: Final = 5
_MAX_RECORD: Final = 2**14
_CHANGE_CIPHER_SPEC: Final = 0x14
_ALERT: Final = 0x15
_HANDSHAKE: Final = 0x16
_DATA: Final = 0x17
_HEARTBEAT: Final = 0x18
#: No client begins with these record types, but some servers skip them before a first or second
#: ClientHello.
_NOT_FIRST: Final = frozenset((_CHANGE_CIPHER_SPEC, _ALERT, _DATA, _HEARTBEAT))
#: How much early data is searched for a second ClientHello: a server that requests one discards
#: early data, by default 16 KiB.
_MAX_EARLY_BYTES: Final = 64 * 1024
_TLS_MAJOR: Final = 3
#: Limits of the evidence: the longest DNS name; more ALPN names, and longer ones, than registered.
_MAX_SHOWN: Final = 255
_MAX_ALPN: Final = 16
_MAX_ALPN_NAME: Final = 64
_FIRST_VISIBLE: Final = 0x21
_LAST_VISIBLE: Final = 0x7E


class ClientHelloRefusedError(Exception):
    """The tunnel is refused; `rule` is the reason."""

    def __init__(self, rule: str) -> None:
        """Keep the rule."""
        super().__init__(rule)
        self.rule = rule


class ClientHelloCheck:
    """Checks the outgoing bytes of one tunnel until no further ClientHello can follow.

    After a HelloRetryRequest the client sends a second ClientHello, which is checked too.
    """

    def __init__(self, host: str, entry: Entry, *, allow_mismatch: bool = False) -> None:
        """Take the tunnel's host, as `safeurl.url` writes it, and the tunnel's entry."""
        self._host = host
        self._entry = entry
        self._allow_mismatch = allow_mismatch
        self._held = bytearray()
        #: The offset of the next record in `_held`.
        self._at = 0
        self._message = bytearray()
        self._has_hello = False
        self._has_named_other = False
        self._early_left = 0
        self._is_finished = False

    @property
    def is_holding(self) -> bool:
        """Whether bytes are buffered until their ClientHello is complete."""
        return bool(self._held)

    @property
    def is_finished(self) -> bool:
        """Whether all further bytes pass unchecked."""
        return self._is_finished

    def take(self, data: bytes) -> bytes:
        """Return the bytes that may be sent; `ClientHelloRefusedError` refuses the tunnel."""
        if self._is_finished:
            return data
        self._held += data
        try:
            while self._step():
                pass
        except HelloError:
            raise ClientHelloRefusedError(TLS_MALFORMED) from None
        released = self._release()
        if len(self._held) > MAX_HELD_BYTES:
            raise ClientHelloRefusedError(TLS_MALFORMED)
        return released

    def _release(self) -> bytes:
        """Return the checked bytes: all, or those before an incomplete ClientHello."""
        if self._is_finished:
            released, self._held = bytes(self._held), bytearray()
        elif self._message:
            return b""
        else:
            released = bytes(self._held[: self._at])
            del self._held[: self._at]
        self._at = 0
        return released

    def _step(self) -> bool:
        """Read one record; return False if it is incomplete or the check has finished."""
        if self._is_finished or len(self._held) <= self._at:
            return False
        if not self._is_expected(self._held[self._at]):
            self._finish()
            return False
        if len(self._held) < self._at + _RECORD_HEAD:
            return False
        kind, major, _, high, low = self._held[self._at : self._at + _RECORD_HEAD]
        size = high << 8 | low
        if major != _TLS_MAJOR or not 0 < size <= _MAX_RECORD:
            raise HelloError
        end = self._at + _RECORD_HEAD + size
        if len(self._held) < end:
            return False
        if kind == _HANDSHAKE:
            self._message += self._held[self._at + _RECORD_HEAD : end]
        elif kind == _DATA:
            self._early_left -= size
        self._at = end
        return self._read_message()

    def _is_expected(self, kind: int) -> bool:
        """Return True if a record of this type is part of a ClientHello or may precede one."""
        if kind == _HANDSHAKE:
            return True
        if self._message or (not self._has_hello and kind in _NOT_FIRST):
            # No other record may interrupt a message or precede the first ClientHello.
            raise HelloError
        if not self._has_hello:
            return False
        if kind == _DATA:
            return self._early_left > 0
        return kind in _NOT_FIRST

    def _finish(self) -> None:
        self._is_finished = True
        self._entry.protocol = self._entry.protocol or "other"

    def _read_message(self) -> bool:
        if not self._message:
            return True
        if self._message[0] != CLIENT_HELLO:
            if not self._has_hello:
                raise HelloError
            # The client continues its handshake: no second ClientHello follows.
            self._message.clear()
            self._finish()
            return False
        if len(self._message) < HEADER_BYTES:
            return True
        end = HEADER_BYTES + int.from_bytes(self._message[1:HEADER_BYTES])
        if not end - HEADER_BYTES or end > MAX_HELD_BYTES or len(self._message) > end:
            raise HelloError
        if len(self._message) == end:
            self._check(parse_hello(bytes(self._message[HEADER_BYTES:])))
            self._message.clear()
        return True

    def _check(self, hello: ClientHello) -> None:
        entry = self._entry
        entry.protocol = "tls"
        if hello.has_early_data and not self._has_hello:
            self._early_left = _MAX_EARLY_BYTES
        # The server may already have answered early data under the first ClientHello's name. So a
        # later ClientHello does not replace a recorded name that differs from the host.
        if not self._has_hello or (hello.server_name and not self._has_named_other):
            entry.sni = _shown(hello.server_name, _MAX_SHOWN)
            entry.alpn = tuple(_shown(name, _MAX_ALPN_NAME) for name in hello.alpn[:_MAX_ALPN])
        self._has_hello = True
        entry.ech = entry.ech or hello.has_ech
        if hello.server_name and not is_host(hello.server_name, self._host):
            self._has_named_other = True
            if not self._allow_mismatch:
                raise ClientHelloRefusedError(SNI_MISMATCH)


def is_host(name: bytes, host: str) -> bool:
    """Return True if a ClientHello's name means the tunnel's host.

    Case, one final dot, and the UTF-8 form of an international name make no difference. A literal
    address matches the same address only, in any spelling.
    """
    try:
        text = name.lower().removesuffix(b".").decode()
    except UnicodeDecodeError:
        return False
    wanted = host.lower().removesuffix(".")
    if text == wanted:
        return True
    try:
        return ip_address(text) == ip_address(wanted)
    except ValueError:
        return not text.isascii() and idna_to_ascii(text).decode() == wanted


def _shown(name: bytes, most: int) -> str:
    """Return the name for the evidence, which holds visible ASCII only."""
    is_visible = range(_FIRST_VISIBLE, _LAST_VISIBLE + 1)
    return "".join(chr(byte) if byte in is_visible else f"\\x{byte:02x}" for byte in name)[:most]
