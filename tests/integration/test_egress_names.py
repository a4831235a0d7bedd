"""The host name in a tunnel's ClientHello, sent by real clients and by hand."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeurl.address import Rule
from tests.support.certificates import Certificate, make_authority, make_certificate
from tests.support.dns import DnsServer
from tests.support.egress import (
    LOOPBACK,
    TIMEOUT_S,
    GatewayProcess,
    accept,
    connect,
    connect_head,
    has_ended,
    parse_answer,
    read_all,
    read_head,
    tunnel,
    until,
    where_of,
)
from tests.support.hello import body, extension, hello, message, real_hello, record, records, sni
from tests.support.pages import PageServer, html
from worker.egress.protocol import EgressPolicy

_LENIENT = EgressPolicy(allow_cidrs=LOOPBACK.allow_cidrs, allow_sni_mismatch=True)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Start a gateway that resolves some names to this machine."""
    with DnsServer() as dns:
        for name in ("site.test", "other.test", "xn--bcher-kva.test"):
            dns.add(name, "127.0.0.1")
        settings = {"EGRESS_RESOLVER": f"127.0.0.1:{dns.port}"}
        with GatewayProcess(tmp_path_factory.mktemp("egress"), settings) as running:
            yield running


@pytest.fixture(scope="module")
def authority() -> Certificate:
    """Make the authority that all clients here trust."""
    return make_authority()


@pytest.fixture(scope="module")
def pages(authority: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve both sites with one certificate at one address, as shared hosting does."""
    names = ("site.test", "other.test", "xn--bcher-kva.test")
    path = make_certificate(*names, issuer=authority).write(tmp_path_factory.mktemp("c") / "c.pem")
    with PageServer({"/": lambda _: html("safe")}, certificate=path) as server:
        yield server


def _fetch(directory: Path, where: str, name: str, authority: Certificate) -> bytes:
    """Fetch a page over TLS from the named host, through a tunnel to another host."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["http/1.1"])
    connection, answer = tunnel(directory, where)
    assert answer.status == 200
    with connection, context.wrap_socket(connection, server_hostname=name) as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return parse_answer(read_all(secure)).rest


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("site.test", "site.test"),
        ("SITE.test", "Site.Test"),
        ("site.test.", "site.test"),
        ("xn--bcher-kva.test", "bücher.test"),
    ],
)
def test_a_client_reaches_the_host_that_it_asked_for(
    gateway: GatewayProcess, pages: PageServer, authority: Certificate, host: str, name: str
) -> None:
    """In every spelling of client and CONNECT; name and protocols are recorded."""
    socket_id, directory = gateway.open()
    assert _fetch(directory, f"{host}:{pages.port}", name, authority) == b"safe"
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.allowed, decision.rule) == (True, Rule.ALLOWED_BY_SETTING)
    assert (decision.protocol, decision.alpn, decision.ech) == ("tls", ("http/1.1",), False)
    assert decision.sni.lower() == name.encode("idna").decode().lower()


@pytest.mark.parametrize("host", ["site.test", "127.0.0.1"])
def test_a_client_that_names_another_host_is_refused(
    gateway: GatewayProcess, pages: PageServer, authority: Certificate, host: str
) -> None:
    """Another site at the same address is refused and recorded, by name or by address."""
    socket_id, directory = gateway.open()
    with pytest.raises(OSError):  # noqa: PT011 - an end of file or a reset, as it happens
        _fetch(directory, f"{host}:{pages.port}", "other.test", authority)
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.allowed, decision.rule, decision.outcome) == (False, "sni_mismatch", "")
    assert (decision.name, decision.sni, decision.address) == (host, "other.test", "127.0.0.1")
    assert (decision.bytes_out, decision.bytes_in) == (0, 0)


def test_the_setting_lets_it_through_and_records_it(
    gateway: GatewayProcess, pages: PageServer, authority: Certificate
) -> None:
    """With EGRESS_ALLOW_SNI_MISMATCH the evidence still shows the other name."""
    socket_id, directory = gateway.open(_LENIENT)
    where = f"site.test:{pages.port}"
    assert _fetch(directory, where, "other.test", authority) == b"safe"
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.allowed, decision.name, decision.sni) == (True, "site.test", "other.test")


def _send(gateway: GatewayProcess, server: socket.socket, *pieces: bytes) -> tuple[str, bytes]:
    """Send these bytes after a CONNECT to `site.test`; return the rule and what arrived."""
    socket_id, directory = gateway.open()
    port = server.getsockname()[1]
    with connect(directory) as client:
        client.sendall(connect_head(f"site.test:{port}") + pieces[0])
        assert read_head(client).status == 200
        with accept(server) as accepted:
            for piece in pieces[1:]:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            arrived = read_all(accepted)
    until(lambda: gateway.evidence(socket_id).decisions[0].duration_ms > 0)
    (decision,) = gateway.evidence(socket_id).decisions
    return "" if decision.allowed else decision.rule, arrived


_OWN = message(body(sni(b"site.test"), extension(0xFE0D)))
_OTHER = message(body(sni(b"other.test")))


@pytest.mark.parametrize(
    ("pieces", "rule"),
    [
        ((record(_OWN),), ""),
        ((b"", *(bytes([byte]) for byte in records(_OWN, 2))), ""),
        ((record(_OTHER),), "sni_mismatch"),
        ((b"", *(bytes([byte]) for byte in records(_OTHER, 2))), "sni_mismatch"),
        ((records(_OTHER, 1),), "sni_mismatch"),
        ((record(_OTHER)[:-1],), "tls_malformed"),
        ((b"\x16",), "tls_malformed"),
        ((record(b"\x01\x5a", 0x15) + record(_OTHER),), "tls_malformed"),
        ((b"GET / HTTP/1.1\r\n\r\n",), ""),
        ((real_hello("site.test", ("h2",)),), ""),
    ],
)
def test_a_hello_by_hand_arrives_whole_or_not_at_all(
    gateway: GatewayProcess, server: socket.socket, pieces: tuple[bytes, ...], rule: str
) -> None:
    """Split into records and segments of one byte, with the CONNECT or after it."""
    found, arrived = _send(gateway, server, *pieces)
    assert found == rule
    assert arrived == (b"" if rule else b"".join(pieces))


def test_a_second_hello_is_judged_too(gateway: GatewayProcess, server: socket.socket) -> None:
    """The ClientHello after a HelloRetryRequest must not name another host either."""
    socket_id, directory = gateway.open()
    connection, _ = tunnel(directory, f"site.test:{server.getsockname()[1]}")
    with connection, accept(server) as accepted:
        connection.sendall(hello(b"site.test"))
        assert accepted.recv(len(hello(b"site.test")), socket.MSG_WAITALL) == hello(b"site.test")
        accepted.sendall(b"retry")
        assert connection.recv(5, socket.MSG_WAITALL) == b"retry"
        connection.sendall(hello(b"other.test"))
        assert accepted.recv(1) == b""
    assert gateway.evidence(socket_id).decisions[0].rule == "sni_mismatch"


def test_a_server_may_speak_while_a_hello_is_awaited(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """Protocols in which the server sends first work unchanged."""
    connection, _ = tunnel(gateway.open()[1], where_of(server))
    with connection, accept(server) as accepted:
        accepted.sendall(b"220 ready")
        assert connection.recv(9, socket.MSG_WAITALL) == b"220 ready"


def test_a_hello_that_stays_half_is_cut_in_time(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """The time limit starts with its first byte; until then a tunnel may be silent."""
    socket_id, directory = gateway.open()
    connection, _ = tunnel(directory, where_of(server))
    with connection, accept(server) as accepted:
        accepted.settimeout(TIMEOUT_S)
        connection.sendall(record(_OWN)[:20])
        assert has_ended(connection)
        assert accepted.recv(1) == b""
    assert gateway.evidence(socket_id).decisions[0].rule == "tls_timeout"
