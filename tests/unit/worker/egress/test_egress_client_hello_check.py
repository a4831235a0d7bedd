"""Which of a tunnel's first bytes may be sent, for every split into pieces."""

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
    ClientHelloCheck,
    ClientHelloRefusedError,
    is_host,
)

_HOST = "site.test"
_ALERT = record(b"\x01\x5a", 0x15)
_CHANGE = record(b"\x01", 0x14)
_DATA = record(b"x" * 100, 0x17)
_OTHER = hello(b"other.test")
_OWN = hello(b"site.test")


def _pass(pieces: Iterable[bytes], host: str = _HOST) -> tuple[bytes, ClientHelloCheck, Entry]:
    entry = Entry()
    check = ClientHelloCheck(host, entry)
    return b"".join(check.take(piece) for piece in pieces), check, entry


def _refused(*pieces: bytes) -> tuple[str, bytes]:
    """Return the rule, and the bytes that passed before it."""
    check, out = ClientHelloCheck(_HOST, Entry()), b""
    try:
        for piece in pieces:
            out += check.take(piece)
    except ClientHelloRefusedError as error:
        return error.rule, out
    return "", out


def _bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@given(st.lists(st.integers(0, 400), max_size=10), st.sampled_from([1, 7, 100, 5000]))
def test_pieces_make_no_difference(cuts: list[int], size: int) -> None:
    """All bytes of a ClientHello pass once and in order, for every split into records."""
    data = records(message(body(sni(b"site.test"))), size) + _CHANGE + _DATA
    at = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    out, check, entry = _pass(data[a:b] for a, b in pairwise(at))
    assert (out, check.is_finished, check.is_holding) == (data, True, False)
    assert (entry.protocol, entry.sni) == ("tls", "site.test")


def test_nothing_goes_on_before_the_last_byte_was_judged() -> None:
    """Neither the first records of a ClientHello nor the beginning of a record pass."""
    data = records(message(body(sni(b"other.test"))), 3)
    assert _refused(*_bytewise(data)) == ("sni_mismatch", b"")


def test_what_is_recorded_is_visible_ascii() -> None:
    """Protocols, name and ECH are recorded; control characters are escaped."""
    _, _, entry = _pass([real_hello(_HOST, ("h2", "http/1.1"))])
    assert (entry.alpn, entry.ech) == (("h2", "http/1.1"), False)
    odd = Entry()
    check = ClientHelloCheck(_HOST, odd, allow_mismatch=True)
    check.take(hello(b"\x1b[2J\xff", extension(0xFE0D)))
    assert (odd.sni, odd.ech) == ("\\x1b[2J\\xff", True)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0\0\0\1", b"\x80\x2e\x01\x03\x01"]
)
def test_what_is_not_tls_goes_on(data: bytes) -> None:
    """Other bytes pass from the first byte on, and are recorded as such."""
    out, check, entry = _pass(_bytewise(data))
    assert (out, check.is_finished, entry.protocol, entry.sni) == (data, True, "other", "")


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
    """Names that are similar to the host are other names for a server."""
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
    """Case, the final dot, IDNA, and the spelling of an address make no difference."""
    assert is_host(name, host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111"])
def test_a_literal_is_no_name(host: str) -> None:
    """A ClientHello with a name, in a tunnel to an address (domain fronting), is another host."""
    with pytest.raises(ClientHelloRefusedError):
        _pass([_OWN], host)
    assert _pass([real_hello(None)], host)[1].is_finished is False


@pytest.mark.parametrize(
    "pieces",
    [
        # Servers skip these before a ClientHello.
        (_ALERT, _OTHER),
        (_CHANGE, _OTHER),
        (record(b"\x01", 0x18), _OTHER),
        (_DATA, _OTHER),
        # No ClientHello, or one that never ends.
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
    """Bytes that our parser and a server may read differently are refused."""
    assert _refused(*pieces) == ("tls_malformed", b"")


@pytest.mark.parametrize("between", [b"", _CHANGE, _ALERT, _CHANGE + _ALERT])
def test_a_second_hello_is_judged_too(between: bytes) -> None:
    """After a HelloRetryRequest, the client sends its complete ClientHello again."""
    assert _refused(_OWN, between + _OTHER) == ("sni_mismatch", _OWN)
    assert _refused(_OWN, *_bytewise(between + _OTHER)) == ("sni_mismatch", _OWN + between)
    out, check, _ = _pass([_OWN, between + _OWN, _DATA])
    assert (out, check.is_finished) == (_OWN + between + _OWN + _DATA, True)


def test_a_second_hello_behind_early_data_is_judged_too() -> None:
    """A server that wants a second ClientHello may discard early data."""
    early = hello(b"site.test", extension(42))
    assert _refused(early, _DATA * 50, _OTHER) == ("sni_mismatch", early + _DATA * 50)
    out, check, _ = _pass([early, _DATA * 1_000, _OTHER])
    assert (out, check.is_finished) == (early + _DATA * 1_000 + _OTHER, True)


@pytest.mark.parametrize("kind", [11, 16])
def test_a_handshake_that_goes_on_is_not_read(kind: int) -> None:
    """A client's certificate or keys (TLS 1.2) are not a ClientHello, and pass unchanged."""
    rest = record(message(bytes(300), kind)) + _CHANGE + record(b"x" * 40)
    out, check, _ = _pass([_OWN, *_bytewise(rest)])
    assert (out, check.is_finished) == (_OWN + rest, True)


def test_a_mismatch_may_be_allowed() -> None:
    """The mismatch is recorded, and the tunnel stays open."""
    entry = Entry()
    assert ClientHelloCheck(_HOST, entry, allow_mismatch=True).take(_OTHER) == _OTHER
    assert (entry.sni, entry.protocol) == ("other.test", "tls")


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_go_on_whole_or_not_at_all(pieces: list[bytes]) -> None:
    """No byte is changed, repeated or reordered, and only our own error is raised."""
    check, out = ClientHelloCheck(_HOST, Entry()), b""
    for number, piece in enumerate(pieces):
        try:
            out += check.take(b"\x16" + piece if number == 0 else piece)
        except ClientHelloRefusedError:
            break
    assert (b"\x16" + b"".join(pieces)).startswith(out)
