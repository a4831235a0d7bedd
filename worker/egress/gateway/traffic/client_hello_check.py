"""Holds a tunnel's first bytes back until the ClientHello among them was judged. Pure.

A tunnel is opened for one host. A ClientHello that names another one would reach, behind the
same address, a site that is not on record. What is not TLS goes on unread.
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
#: A ClientHello with post-quantum keys has about 2 KiB; OpenSSL takes 16 KiB (and Go 64). Here the
#: bytes are counted with the heads of their records.
MAX_HELD_BYTES: Final = 64 * 1024

_RECORD_HEAD: Final = 5
_MAX_RECORD: Final = 2**14
_CHANGE_CIPHER_SPEC: Final = 0x14
_ALERT: Final = 0x15
_HANDSHAKE: Final = 0x16
_DATA: Final = 0x17
_HEARTBEAT: Final = 0x18
#: Servers pass over some of these before a ClientHello, the first or a second one, though no
#: client begins with them.
_NO_BEGINNING: Final = frozenset((_CHANGE_CIPHER_SPEC, _ALERT, _DATA, _HEARTBEAT))
#: So much early data is looked through for a second ClientHello: servers that ask for one throw
#: early data away, 16 KiB of it by default.
_MAX_EARLY_BYTES: Final = 64 * 1024
_TLS_MAJOR: Final = 3
#: As much of a name as DNS could hold, and of ALPN's what is more than any registered one.
_MAX_SHOWN: Final = 255
_MAX_ALPN: Final = 16
_MAX_ALPN_NAME: Final = 64
_FIRST_VISIBLE: Final = 0x21
_LAST_VISIBLE: Final = 0x7E


class GateError(Exception):
    """The tunnel goes no further; `rule` says why."""

    def __init__(self, rule: str) -> None:
        """Keep the rule."""
        super().__init__(rule)
        self.rule = rule


class HelloGate:
    """One tunnel's outward bytes, until nothing in the clear can name a host any more.

    After a HelloRetryRequest the client says a second ClientHello, which is judged like the first.
    """

    def __init__(self, host: str, entry: Entry, *, allow_mismatch: bool = False) -> None:
        """Take the host that was dialled, as `safeurl.url` writes it, and the tunnel's entry."""
        self._host = host
        self._entry = entry
        self._allow_mismatch = allow_mismatch
        self._held = bytearray()
        #: Where in them the next record begins.
        self._at = 0
        self._message = bytearray()
        self._has_hello = False
        self._has_named_other = False
        self._early_left = 0
        self._is_open = False

    @property
    def is_holding(self) -> bool:
        """Whether bytes wait for more of their ClientHello."""
        return bool(self._held)

    @property
    def is_open(self) -> bool:
        """Whether no more is held back or looked at."""
        return self._is_open

    def take(self, data: bytes) -> bytes:
        """Return what may go on; raise `GateError` where nothing may."""
        if self._is_open:
            return data
        self._held += data
        try:
            while self._step():
                pass
        except HelloError:
            raise GateError(TLS_MALFORMED) from None
        released = self._release()
        if len(self._held) > MAX_HELD_BYTES:
            raise GateError(TLS_MALFORMED)
        return released

    def _release(self) -> bytes:
        """Return what was judged: all, or up to a ClientHello that is not whole yet."""
        if self._is_open:
            released, self._held = bytes(self._held), bytearray()
        elif self._message:
            return b""
        else:
            released = bytes(self._held[: self._at])
            del self._held[: self._at]
        self._at = 0
        return released

    def _step(self) -> bool:
        """Read one record; false where none is whole, or no more are to be read."""
        if self._is_open or len(self._held) <= self._at:
            return False
        if not self._is_awaited(self._held[self._at]):
            self._open()
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

    def _is_awaited(self, kind: int) -> bool:
        """Tell whether a record of this kind is a ClientHello's or may come before one."""
        if kind == _HANDSHAKE:
            return True
        if self._message or (not self._has_hello and kind in _NO_BEGINNING):
            # Nothing comes between the records of one message, nor before the first.
            raise HelloError
        if not self._has_hello:
            return False
        if kind == _DATA:
            return self._early_left > 0
        return kind in _NO_BEGINNING

    def _open(self) -> None:
        self._is_open = True
        self._entry.protocol = self._entry.protocol or "other"

    def _read_message(self) -> bool:
        if not self._message:
            return True
        if self._message[0] != CLIENT_HELLO:
            if not self._has_hello:
                raise HelloError
            # The client goes on with a handshake that has begun.
            self._message.clear()
            self._open()
            return False
        if len(self._message) < HEADER_BYTES:
            return True
        end = HEADER_BYTES + int.from_bytes(self._message[1:HEADER_BYTES])
        if not end - HEADER_BYTES or end > MAX_HELD_BYTES or len(self._message) > end:
            raise HelloError
        if len(self._message) == end:
            self._judge(parse_hello(bytes(self._message[HEADER_BYTES:])))
            self._message.clear()
        return True

    def _judge(self, hello: ClientHello) -> None:
        entry = self._entry
        entry.protocol = "tls"
        if hello.has_early_data and not self._has_hello:
            self._early_left = _MAX_EARLY_BYTES
        # A later hello may follow early data that was sent, and answered, under the first one's
        # name: it hides neither that a host was named nor that it was another one.
        if not self._has_hello or (hello.server_name and not self._has_named_other):
            entry.sni = _shown(hello.server_name, _MAX_SHOWN)
            entry.alpn = tuple(_shown(name, _MAX_ALPN_NAME) for name in hello.alpn[:_MAX_ALPN])
        self._has_hello = True
        entry.ech = entry.ech or hello.has_ech
        if hello.server_name and not is_host(hello.server_name, self._host):
            self._has_named_other = True
            if not self._allow_mismatch:
                raise GateError(SNI_MISMATCH)


def is_host(name: bytes, host: str) -> bool:
    """Tell whether a ClientHello's name means the host that was dialled.

    Upper case, one dot at the end and an international name in UTF-8 make no other host. A literal
    address is the same as itself only, in any spelling.
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
    """Return the name for evidence, where only visible ASCII stands."""
    is_visible = range(_FIRST_VISIBLE, _LAST_VISIBLE + 1)
    return "".join(chr(byte) if byte in is_visible else f"\\x{byte:02x}" for byte in name)[:most]
