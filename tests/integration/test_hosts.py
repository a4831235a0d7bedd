"""Hosts with unusual labels, which wildcard records serve: opened wherever a browser opens them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ada_url import URL

from fetcher.deadline import Deadline
from fetcher.http.client import Client
from fetcher.http.dial import DirectDialler
from fetcher.http.gateway import GatewayDialler
from fetcher.http.hop_recorder import HopRecorder
from safeurl.address import AddressPolicy, PolicyOverrides
from safeurl.errors import UrlRefusedError
from safeurl.model.report import Tls
from safeurl.state import Outcome
from safeurl.url import parse
from tests.support.browser import Browser
from tests.support.certificates import make_authority, make_certificate
from tests.support.dns import DnsServer
from tests.support.egress import GatewayProcess, ask
from tests.support.fetching import request_line
from tests.support.lab import PUBLIC_V4, Scenario, run_in_lab
from tests.support.pages import PageServer, html
from tests.support.vectors import ODD_CHARACTERS, ODD_HOSTS
from worker.egress.protocol import SOCKET_NAME
from worker.egress.unix_socket import short_path

_ZONE = "odd.example"
#: Each host once; below the zone whose wildcard record leads to the pages.
_HOSTS = (*(f"a{char}b.{_ZONE}" for char in ODD_CHARACTERS), f"{ODD_CHARACTERS}.{_ZONE}")
#: What no browser opens, or no DNS name can be.
_OTHERS = (
    *(f"a{char}b.example" for char in "<>^|%"),
    *("1.2.3.4.5", "a.09", "a\u2024b.example", "a\u00df.example", "\uff07.example"),
    *("a%2cb.example", "a%5eb.example", "007.example", "1.2.3", "A!B.example", "a\u200bb.example"),
)


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    """Serve the zone's wildcard record."""
    with DnsServer() as server:
        server.add(f"*.{_ZONE}", "127.0.0.1")
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, dns: DnsServer) -> Iterator[GatewayProcess]:
    """Start a gateway that queries only that server."""
    settings = {"EGRESS_RESOLVER": f"127.0.0.1:{dns.port}"}
    with GatewayProcess(tmp_path_factory.mktemp("egress"), settings) as running:
        yield running


def _read_by_us(host: str) -> str | None:
    """Return the host that our parser's standard reads, refusals by policy aside."""
    try:
        return URL(f"http://{host}/").hostname
    except ValueError:
        return None


def test_a_browser_reads_the_same_hosts(tmp_path: Path) -> None:
    """Chromium and our parser agree on every host here, accepted or refused, except for `*`.

    Chromium writes `*` as `%2A`, but the standard keeps it; a wildcard record serves both.
    """
    hosts = [host for host in (*ODD_HOSTS, *_OTHERS) if "*" not in host]
    script = """hosts => hosts.map(host => {
        try { return new URL(`http://${host}/`).hostname } catch { return null } })"""
    browser = Browser(tmp_path)
    try:
        read = browser.run(f"({script})({json.dumps(hosts)})")
    finally:
        browser.close()
    assert dict(zip(hosts, read, strict=True)) == {host: _read_by_us(host) for host in hosts}


@pytest.mark.parametrize("host", _OTHERS)
def test_what_no_browser_opens_is_refused(host: str) -> None:
    """If a browser reads another host, our parser reads that host too."""
    read = _read_by_us(host)
    if read is not None:
        assert parse(f"http://{host}/").host == read
        return
    with pytest.raises(UrlRefusedError):
        parse(f"http://{host}/")


def test_the_gateway_tunnels_and_forwards_to_them(gateway: GatewayProcess, dns: DnsServer) -> None:
    """The DNS gets that exact name, the server receives it, and the record contains it."""
    with PageServer(fallback=lambda _: html("<p>hi")) as pages:
        socket_id, directory = gateway.open()
        with short_path(directory, SOCKET_NAME) as path:
            client = Client(GatewayDialler(path))
            for host in _HOSTS:
                target = parse(f"http://{host}:{pages.port}/")
                client.open(target, "submitted", Deadline.after(20)).close()
        for host in _HOSTS:
            head = f"GET http://{host}:{pages.port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"
            assert ask(directory, head.encode()).rest == b"<p>hi"
        decisions = gateway.evidence(socket_id).decisions
    assert [each.name for each in decisions] == [*_HOSTS, *_HOSTS]
    assert {each.address for each in decisions} == {"127.0.0.1"}
    assert {name for name, _, _ in dns.questions} >= set(_HOSTS)
    heard = [request.headers["host"] for request in pages.requests]
    assert heard == [f"{host}:{pages.port}" for host in (*_HOSTS, *_HOSTS)]


def test_a_resolver_that_does_not_ask_is_not_believed() -> None:
    """Without a gateway glibc refuses such names without a query, so nothing is known of them."""
    lab = run_in_lab(
        Scenario(names={"a!b.test": [PUBLIC_V4], "a_b.test": [PUBLIC_V4]}),
        request_line("http://a!b.test/", allow_cidrs=()),
    )
    assert lab.run.report.outcome is Outcome.DNS_FAILED
    assert "does not ask for names such as a!b.test" in lab.run.report.detail


@pytest.mark.parametrize(
    ("name", "host", "error"),
    [
        (f"*.{_ZONE}", f"a!b.{_ZONE}", ""),
        (f"*.{_ZONE}", f"a_b.{_ZONE}", ""),
        (f"*.{_ZONE.upper()}", f"{{}}.{_ZONE}.", ""),
        (f"a!b.{_ZONE}", f"a!b.{_ZONE}", ""),
        (f"*.{_ZONE}", f"plain.{_ZONE}", ""),
        (f"*.{_ZONE}", f"x.a!b.{_ZONE}", "Hostname mismatch"),
        ("*.example", "a!b.example", "Hostname mismatch"),
        ("other.example", f"a!b.{_ZONE}", "Hostname mismatch"),
        ("other.example", f"plain.{_ZONE}", "Hostname mismatch"),
    ],
)
def test_a_wildcard_certificate_covers_them(
    name: str, host: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in browsers: the first label may be any label, and no other label may."""
    root = make_authority()
    (tmp_path / "root.pem").write_bytes(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    tls = _tls(make_certificate(name, issuer=root).write(tmp_path / "tls.pem"), host)
    assert tls.verified == (not error)
    assert tls.verify_error.startswith(error)
    assert bool(tls.verify_error) == bool(error)


def test_an_odd_host_excuses_no_bad_certificate(tmp_path: Path) -> None:
    """Chain and validity are verified whatever the host is called."""
    for certificate in (make_certificate(f"*.{_ZONE}"), make_certificate(expired=True)):
        tls = _tls(certificate.write(tmp_path / "tls.pem"), f"a!b.{_ZONE}")
        assert not tls.verified
        assert "certificate" in tls.verify_error


def _tls(certificate: Path, host: str) -> Tls:
    """Return the fetcher's record of a server with this certificate and this host name."""
    seen: list[HopRecorder] = []
    policy = AddressPolicy.parse(PolicyOverrides(allow_cidrs=("127.0.0.0/8",)))
    client = Client(DirectDialler(policy, lambda _: ("127.0.0.1",)), on_hop=seen.append)
    with PageServer(fallback=lambda _: html("hi"), certificate=certificate) as pages:
        target = parse(f"https://{host}:{pages.port}/", policy)
        client.open(target, "submitted", Deadline.after(20)).close()
    tls = seen[0].tls
    assert tls is not None
    return tls
