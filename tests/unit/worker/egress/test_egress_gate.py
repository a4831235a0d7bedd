"""What of a tunnel's first bytes goes on, in whatever pieces they come."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hello import (
    body,
    extension,
    hello,
    message,
    real_hello,
    record,
    records,
    sni,
)
from worker.egress.gateway.traffic.accounting import Entry
from worker.egress.gateway.traffic.client_hello_check import (
    MAX_HELD_BYTES,
    GateError,
    HelloGate,
    is_host,
)

_HOST = "site.test"
_ALERT = record(b"\x01\x5a", 0x15)
_CHANGE = record(b"\x01", 0x14)
_DATA = record(b"x" * 100, 0x17)
_OTHER = hello(b"other.test")
_OWN = hello(b"site.test")


def _pass(pieces: Iterable[bytes], host: str = _HOST) -> tuple[bytes, HelloGate, Entry]:
    entry = Entry()
    gate = HelloGate(host, entry)
    return b"".join(gate.take(piece) for piece in pieces), gate, entry


def _refused(*pieces: bytes) -> tuple[str, bytes]:
    """Return the rule, and what had gone on before it."""
    gate, out = HelloGate(_HOST, Entry()), b""
    try:
        for piece in pieces:
            out += gate.take(piece)
    except GateError as error:
        return error.rule, out
    return "", out


def _bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@given(st.lists(st.integers(0, 400), max_size=10), st.sampled_from([1, 7, 100, 5000]))
def test_pieces_make_no_difference(cuts: list[int], size: int) -> None:
    """All of a hello in order, once, however it is cut into records and segments."""
    data = records(message(body(sni(b"site.test"))), size) + _CHANGE + _DATA
    at = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    out, gate, entry = _pass(data[a:b] for a, b in pairwise(at))
    assert (out, gate.is_open, gate.is_holding) == (data, True, False)
    assert (entry.protocol, entry.sni) == ("tls", "site.test")


def test_nothing_goes_on_before_the_last_byte_was_judged() -> None:
    """Neither the first records of a hello nor the beginning of one."""
    data = records(message(body(sni(b"other.test"))), 3)
    assert _refused(*_bytewise(data)) == ("sni_mismatch", b"")


def test_what_is_recorded_is_visible_ascii() -> None:
    """Protocols, the name, and whether the hello is encrypted; control characters are spelled."""
    _, _, entry = _pass([real_hello(_HOST, ("h2", "http/1.1"))])
    assert (entry.alpn, entry.ech) == (("h2", "http/1.1"), False)
    odd = Entry()
    gate = HelloGate(_HOST, odd, allow_mismatch=True)
    gate.take(hello(b"\x1b[2J\xff", extension(0xFE0D)))
    assert (odd.sni, odd.ech) == ("\\x1b[2J\\xff", True)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0\0\0\1", b"\x80\x2e\x01\x03\x01"]
)
def test_what_is_not_tls_goes_on(data: bytes) -> None:
    """From the first byte, and recorded as such."""
    out, gate, entry = _pass(_bytewise(data))
    assert (out, gate.is_open, entry.protocol, entry.sni) == (data, True, "other", "")


@pytest.mark.parametrize(
    "name",
    [
        b"other.test",
        b"site.test\0",
        b"site.test..",
        b".site.test",
        b"www.site.test",
        b"site",
        b" site.test",
        b"site.test:443",
        b"\xff.test",
        b"127.0.0.1",
        "site.t\u00e9st".encode(),
    ],
)
def test_another_name_is_refused(name: bytes) -> None:
    """And near misses are other names, to a server at least."""
    assert _refused(hello(name)) == ("sni_mismatch", b"")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (b"SITE.test", "site.test"),
        (b"site.test.", "site.test"),
        (b"site.test", "site.test."),
        ("bücher.test".encode(), "xn--bcher-kva.test"),
        (b"XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        (b"1.1.1.1", "1.1.1.1"),
        (b"2606:4700:0::1111", "2606:4700::1111"),
    ],
)
def test_the_same_name_is_the_same_in_every_spelling(name: bytes, host: str) -> None:
    """Case, the last dot, IDNA, and an address as itself."""
    assert is_host(name, host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111"])
def test_a_literal_is_no_name(host: str) -> None:
    """A tunnel to an address that then names a host, as fronting does, is another host."""
    with pytest.raises(GateError):
        _pass([_OWN], host)
    assert _pass([real_hello(None)], host)[1].is_open is False


@pytest.mark.parametrize(
    "pieces",
    [
        # Servers pass over these before a ClientHello.
        (_ALERT, _OTHER),
        (_CHANGE, _OTHER),
        (record(b"\x01", 0x18), _OTHER),
        (_DATA, _OTHER),
        # No ClientHello, or none that ends.
        (record(message(body(), kind=2)),),
        (record(b""),),
        (b"\x16\x02\x00\x00\x05hello",),
        (b"\x16\x03\x01\x40\x01" + bytes(0x4001),),
        (record(b"\x01\x00\x00\x00"),),
        (record(b"\x01\xff\xff\xff"),),
        (record(message(body(sni(b"site.test")))[:9]) + _ALERT,),
        (record(message(body(sni(b"site.test"))) + b"x"),),
        (record(message(body(sni(b"site.test"), sni(b"other.test")))),),
        tuple(
            records(b"\x01\x00\xff\xff" + bytes(0xFFFF), 1)[i : i + 999]
            for i in range(0, MAX_HELD_BYTES + 999, 999)
        ),
    ],
)
def test_a_broken_handshake_is_refused(pieces: tuple[bytes, ...]) -> None:
    """What our reader and a server might read in two ways goes nowhere."""
    assert _refused(*pieces) == ("tls_malformed", b"")


@pytest.mark.parametrize("between", [b"", _CHANGE, _ALERT, _CHANGE + _ALERT])
def test_a_second_hello_is_judged_too(between: bytes) -> None:
    """After a HelloRetryRequest the client says everything again."""
    assert _refused(_OWN, between + _OTHER) == ("sni_mismatch", _OWN)
    assert _refused(_OWN, *_bytewise(between + _OTHER)) == ("sni_mismatch", _OWN + between)
    out, gate, _ = _pass([_OWN, between + _OWN, _DATA])
    assert (out, gate.is_open) == (_OWN + between + _OWN + _DATA, True)


def test_a_second_hello_behind_early_data_is_judged_too() -> None:
    """Early data may be thrown away by a server that wants another hello."""
    early = hello(b"site.test", extension(42))
    assert _refused(early, _DATA * 50, _OTHER) == ("sni_mismatch", early + _DATA * 50)
    out, gate, _ = _pass([early, _DATA * 1_000, _OTHER])
    assert (out, gate.is_open) == (early + _DATA * 1_000 + _OTHER, True)


@pytest.mark.parametrize("kind", [11, 16])
def test_a_handshake_that_goes_on_is_not_read(kind: int) -> None:
    """A client's certificate or keys (TLS 1.2) are no hello, and pass as they are."""
    rest = record(message(bytes(300), kind)) + _CHANGE + record(b"x" * 40)
    out, gate, _ = _pass([_OWN, *_bytewise(rest)])
    assert (out, gate.is_open) == (_OWN + rest, True)


def test_a_mismatch_may_be_allowed() -> None:
    """Then it is recorded and nothing more."""
    entry = Entry()
    assert HelloGate(_HOST, entry, allow_mismatch=True).take(_OTHER) == _OTHER
    assert (entry.sni, entry.protocol) == ("other.test", "tls")


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_go_on_whole_or_not_at_all(pieces: list[bytes]) -> None:
    """Nothing is changed, doubled or reordered, and nothing but our own error is raised."""
    gate, out = HelloGate(_HOST, Entry()), b""
    for number, piece in enumerate(pieces):
        try:
            out += gate.take(b"\x16" + piece if number == 0 else piece)
        except GateError:
            break
    assert (b"\x16" + b"".join(pieces)).startswith(out)
