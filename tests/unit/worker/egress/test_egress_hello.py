"""The pure parser reads complete and malformed ClientHellos."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hello import body, extension, real_hello, sni, vector
from worker.egress.gateway.traffic.client_hello import ClientHello, HelloError, parse_hello

_HEADS = 5 + 4
_PLAIN = body(sni(b"a.test"))


def test_what_openssl_sends_is_read() -> None:
    """Name and protocols of a real client; a client that connects to an address sends no name."""
    read = parse_hello(real_hello("site.test", ("h2", "http/1.1"))[_HEADS:])
    assert read == ClientHello(server_name=b"site.test", alpn=(b"h2", b"http/1.1"))
    assert parse_hello(real_hello("127.0.0.1")[_HEADS:]) == ClientHello()


def test_a_hello_without_extensions_names_nothing() -> None:
    """The oldest clients send this form."""
    assert parse_hello(body()[:-2]) == ClientHello()


def test_ech_and_early_data_are_seen() -> None:
    """The parser needs their extensions only; the server checks the rest."""
    read = parse_hello(body(extension(0xFE0D, b"\0x"), extension(42)))
    assert (read.has_ech, read.has_early_data) == (True, True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _PLAIN[:-1],
        _PLAIN + b"\0",
        body(sni(b"a.test"), sni(b"b.test")),
        body(sni(b"a.test", b"b.test")),
        body(sni(b"a.test", kind=1)),
        body(sni(b"")),
        body(sni()),
        body(extension(0)),
        body(extension(0, vector(b"\0" + vector(b"a.test", 2), 2) + b"x")),
        body(extension(16, vector(b"", 2))),
        body(extension(16, vector(vector(b"", 1), 2))),
        body(extension(16, vector(b"\x09h2", 2))),
        body(extension(42), extension(42)),
        b"\x03\x03" + bytes(32) + vector(bytes(33), 1) + vector(b"\x13\x01", 2) + vector(b"\0", 1),
        b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"\x13", 2) + vector(b"\0", 1),
        b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"", 2) + vector(b"\0", 1),
        b"\x03\x03" + bytes(32) + vector(b"", 1) + vector(b"\x13\x01", 2) + vector(b"", 1),
    ],
)
def test_what_two_readers_could_read_differently_is_no_hello(data: bytes) -> None:
    """Second names, duplicate extensions, wrong lengths, and data after the end are errors."""
    with pytest.raises(HelloError):
        parse_hello(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Only our own error is raised."""
    _try(data)
    _try(_PLAIN[: len(_PLAIN) // 2] + data)


# Without a deadline: making the ClientHello takes long on a loaded machine.
@settings(deadline=None)
@given(st.data())
def test_any_change_is_read_or_refused(data: st.DataObject) -> None:
    """A real ClientHello with bytes changed, removed or inserted."""
    whole = real_hello("site.test", ("h2",))[_HEADS:]
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, len(whole)))
    _try(whole[:at] + data.draw(st.binary(max_size=8)) + whole[end:])


def _try(data: bytes) -> None:
    try:
        read = parse_hello(data)
    except HelloError:
        return
    assert len(read.server_name) + sum(map(len, read.alpn)) <= len(data)


@given(
    st.binary(min_size=1, max_size=300), st.lists(st.binary(min_size=1, max_size=20), min_size=1)
)
def test_every_name_that_fits_comes_out_as_it_went_in(name: bytes, alpn: list[bytes]) -> None:
    """The parser accepts any bytes as a name."""
    protocols = extension(16, vector(b"".join(vector(each, 1) for each in alpn), 2))
    read = parse_hello(body(protocols, sni(name)))
    assert (read.server_name, read.alpn) == (name, tuple(alpn))
