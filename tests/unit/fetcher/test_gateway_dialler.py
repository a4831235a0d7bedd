"""The fetcher's side of the egress gateway's socket: its request, and the responses it takes."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.gateway import GatewayDialler
from fetcher.http.hop_recorder import HopRecorder
from safeurl.state import Outcome

_OPEN = (
    b"HTTP/1.1 200 OK\r\nX-SafeURL-Addresses: 192.0.2.1,2001:db8::1\r\n"
    b"x-safeurl-address: 192.0.2.1\r\nX-SafeURL-DNS-ms: 1.5\r\nX-SafeURL-Connect-ms: 2\r\n\r\n"
)


def _recorder(host: str = "a.example", port: int = 443) -> HopRecorder:
    return HopRecorder(f"https://{host}/", host, port, "submitted")


@contextmanager
def _gateway(path: Path, pieces: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Answer one connection with these pieces, and close it; yield what was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))
                # The fetcher closes the connection within a head that is too long.
                with suppress(ConnectionError):
                    for piece in pieces:
                        connection.sendall(piece)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield asked
        finally:
            thread.join(30)


def _refused(path: Path, *pieces: bytes) -> FetchFailedError:
    with _gateway(path, pieces), pytest.raises(FetchFailedError) as failed:
        GatewayDialler(str(path)).dial(_recorder(), Deadline.after(30))
    return failed.value


@pytest.mark.parametrize("size", [1, 7, len(_OPEN)])
def test_an_open_tunnel_is_recorded_however_its_head_arrives(size: int, tmp_path: Path) -> None:
    """Addresses and timings of the response are evidence, whatever its packets are."""
    recorder = _recorder()
    pieces = [_OPEN[at : at + size] for at in range(0, len(_OPEN), size)]
    with _gateway(tmp_path / "s", pieces) as asked:
        connection = GatewayDialler(str(tmp_path / "s")).dial(recorder, Deadline.after(30))
        with connection:
            assert connection.recv(1) == b""
    assert asked == [b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"]
    assert recorder.addresses == ("192.0.2.1", "2001:db8::1")
    assert (recorder.address, recorder.dns_ms, recorder.connect_ms) == ("192.0.2.1", 1.5, 2.0)


def test_an_ipv6_address_is_asked_for_in_brackets(tmp_path: Path) -> None:
    """The authority of CONNECT is written as RFC 3986 does."""
    with _gateway(tmp_path / "s", [_OPEN]) as asked:
        recorder = _recorder("2001:db8::1", 8443)
        GatewayDialler(str(tmp_path / "s")).dial(recorder, Deadline.after(30)).close()
    assert asked[0].startswith(b"CONNECT [2001:db8::1]:8443 HTTP/1.1\r\n")


def test_a_refusal_is_recorded_with_its_rule(tmp_path: Path) -> None:
    """403 is the address policy's answer."""
    head = b"HTTP/1.1 403 Forbidden\r\nX-SafeURL-Rule: loopback\r\n\r\n"
    assert _refused(tmp_path / "s", head).result.outcome is Outcome.ADDRESS_REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-SafeURL-Address: 192.0.2.1\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 okay\r\n\r\n",
        b"junkHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX-A: b\n\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\n",
    ],
    ids=["nothing", "cut", "other", "status", "junk", "lf", "line", "long"],
)
def test_what_no_gateway_writes_is_no_tunnel(answer: bytes, tmp_path: Path) -> None:
    """Its parser is tolerant, since it reads servers too; here only a regular head is taken."""
    pieces = [answer] if answer else []
    assert _refused(tmp_path / "s", *pieces).result.outcome is Outcome.CONNECT_REFUSED
