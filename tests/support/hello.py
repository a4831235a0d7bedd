"""ClientHellos: made by a real TLS library, or by hand if no library would send them."""

import ssl
from collections.abc import Sequence


def real_hello(name: str | None, alpn: Sequence[str] = ()) -> bytes:
    """Return the record that OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("a handshake without a server")


def vector(data: bytes, width: int) -> bytes:
    """Return the data with its length before it."""
    return len(data).to_bytes(width) + data


def extension(number: int, data: bytes = b"") -> bytes:
    """Return an extension."""
    return number.to_bytes(2) + vector(data, 2)


def sni(*names: bytes, kind: int = 0) -> bytes:
    """Return the extension that contains server names."""
    return extension(0, vector(b"".join(bytes([kind]) + vector(name, 2) for name in names), 2))


def body(*extensions: bytes) -> bytes:
    """Return a ClientHello without its message header."""
    fixed = b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"\0", 1)
    return fixed + vector(b"".join(extensions), 2)


def message(content: bytes, kind: int = 1) -> bytes:
    """Return a handshake message."""
    return bytes([kind]) + vector(content, 3)


def record(content: bytes, kind: int = 0x16) -> bytes:
    """Return a record that contains this."""
    return bytes([kind]) + b"\x03\x01" + vector(content, 2)


def records(content: bytes, size: int) -> bytes:
    """Return the message, split into records of this size."""
    cut = (content[i : i + size] for i in range(0, len(content), size))
    return b"".join(map(record, cut))


def hello(name: bytes, *extensions: bytes) -> bytes:
    """Return the record of a ClientHello with this host name."""
    return record(message(body(sni(name), *extensions)))
