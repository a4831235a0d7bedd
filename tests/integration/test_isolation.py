"""No network: from real sandboxes only the targets that the gateway allows are reached.

All cases run under runc. Under gVisor a sandbox takes several times as long, so only the probe and
one case of each kind run.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeurl.address import Rule
from safeurl.model.egress_evidence import EgressDecision
from safeurl.state import Outcome
from safeurl.url import Reason
from tests.support.dns import DnsServer
from tests.support.gateway_sandbox import Fetched, GatewaySandbox, gateway_sandbox
from tests.support.images import script_image
from tests.support.pages import PageServer, html, redirect
from tests.support.runtimes import under
from tests.support.vectors import LITERALS

#: Plays the public address, where the pages are: one that no literal spells.
_PUBLIC = "127.88.0.1"
_ALLOW = (f"{_PUBLIC}/32",)
_EVERYWHERE = ("0.0.0.0/0", "::/0")
#: What people write in reports is refanged for them, not for servers.
_IN_HEADER = {
    "127[.]0[.]0[.]1": Reason.HOST_INVALID,
    "127.0.0.1%00.example.com": Reason.HOST_INVALID,
}

#: Asks the gateway's socket itself, with no guard of ours in between.
_PROBE = f"""
import json, socket
def ask(head):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(15)
        s.connect("/run/egress/egress.sock")
        s.sendall(head)
        return s.recv(4096).split(b"\\r\\n")[0].decode("latin-1")
def attempt(family, address):
    try:
        with socket.socket(family) as s:
            s.settimeout(2)
            s.connect(address)
        return "connected"
    except OSError as error:
        return type(error).__name__
answers = {{}}
for literal in {list(LITERALS)!r}:
    host = literal.encode("utf-8", "surrogatepass")
    connect = b"CONNECT " + host + b":80 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
    plain = b"GET http://" + host + b"/ HTTP/1.1\\r\\nHost: " + host + b"\\r\\n\\r\\n"
    answers[literal] = [ask(connect), ask(plain)]
direct = {{}}
for host in ("127.0.0.1", "172.17.0.1", "169.254.169.254", "1.1.1.1"):
    direct[host] = attempt(socket.AF_INET, (host, 53))
direct["::1"] = attempt(socket.AF_INET6, ("::1", 53))
try:
    direct["dns"] = str(socket.getaddrinfo("example.com", 80))
except OSError as error:
    direct["dns"] = type(error).__name__
devices = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
routes = len(open("/proc/net/route").readlines()) - 1
print(json.dumps({{"answers": answers, "direct": direct, "devices": devices, "routes": routes}}))
"""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewaySandbox]:
    """Return a sandbox whose gateway allows that address alone."""
    with gateway_sandbox(tmp_path_factory.mktemp("strict"), "isolation-strict", _ALLOW) as made:
        yield made


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[dict[str, object]]:
    """Run the probe once under the default policy and each runtime; return its findings."""
    with (
        script_image(_PROBE) as image,
        gateway_sandbox(tmp_path_factory.mktemp("probe"), "isolation-probe") as made,
    ):
        _, written = made.under(runtime).run(image)
        yield json.loads(written)


def test_only_loopback_exists(probed: dict[str, object]) -> None:
    """The sandbox has no interface but `lo`, and no route."""
    assert (probed["devices"], probed["routes"]) == (["lo"], 0)


def test_nothing_is_reached_directly(probed: dict[str, object]) -> None:
    """Sockets of the sandbox's own lead nowhere: host, bridge, metadata, DNS, the internet."""
    direct = probed["direct"]
    assert isinstance(direct, dict)
    assert set(direct) == {"127.0.0.1", "172.17.0.1", "169.254.169.254", "1.1.1.1", "::1", "dns"}
    assert "connected" not in direct.values()
    assert direct["dns"] == "gaierror"


@pytest.mark.parametrize("literal", LITERALS)
def test_the_gateway_refuses_each_literal(probed: dict[str, object], literal: str) -> None:
    """Without the fetcher's guard, as a tunnel or as a plain request, the answer is a refusal."""
    answers = probed["answers"]
    assert isinstance(answers, dict)
    for answer in answers[literal]:
        assert int(answer.split()[1]) in {400, 403, 405}, answer


@pytest.mark.parametrize(
    ("literal", "runtime"),
    under(LITERALS, ["2852039166", "[::ffff:7f00:1]", "localhost"]),
    indirect=["runtime"],
)
def test_a_redirect_to_each_literal_is_refused(
    strict: GatewaySandbox, literal: str, runtime: str
) -> None:
    """The real fetcher opens nothing at the literal's port 80, and names the rule."""
    routes = {"/": lambda _: redirect(f"http://{_on_wire(literal)}/")}
    with PageServer(routes, host=_PUBLIC) as pages:
        ran = strict.under(runtime).fetch(pages.url("/"), allow_cidrs=_ALLOW)
    assert _outcome(ran) is Outcome.ADDRESS_REFUSED
    assert [refusal.rule for refusal in ran.evidence.refusals] == [
        _IN_HEADER.get(literal, LITERALS[literal])
    ]
    assert _reached(ran) == {_PUBLIC}


@pytest.mark.parametrize(
    ("literal", "runtime"),
    under(
        ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "2130706434", "[::ffff:7f00:2]"],
        ["169.254.169.254", "[::ffff:7f00:2]"],
    ),
    indirect=["runtime"],
)
def test_the_gateway_stands_without_the_fetchers_guard(
    strict: GatewaySandbox, literal: str, runtime: str
) -> None:
    """A fetcher with an empty policy is still refused by the gateway, with evidence."""
    ran = strict.under(runtime).fetch(f"http://{literal}/", allow_cidrs=_EVERYWHERE)
    assert _outcome(ran) is Outcome.ADDRESS_REFUSED
    assert [asked.allowed for asked in ran.egress.decisions] == [False]
    assert ran.evidence.refusals[0].rule == ran.egress.decisions[0].rule


def test_a_page_comes_through_with_evidence(strict: GatewaySandbox, runtime: str) -> None:
    """An allowed page is fetched, and both records name the same address."""
    with _page() as pages:
        ran = strict.under(runtime).fetch(pages.url("/"), allow_cidrs=_ALLOW)
    assert ran.evidence.page is not None
    assert ran.evidence.page.title == "Hi"
    assert ran.evidence.hops[0].address == _PUBLIC
    assert _reached(ran) == {_PUBLIC}


def test_lying_names(tmp_path: Path, runtime: str) -> None:
    """Rebinding, mixed answers, CNAME chains, AAAA alone: no refused address is reached.

    All private ones are loopback's, so that no packet of this test leaves it.
    """
    names = ("rebind", "rebind", "mixed", "alias", "six", "mapped")
    with DnsServer() as dns, _page() as pages:
        dns.sequence("rebind.example", [_PUBLIC], ["127.0.0.2"])
        dns.add("mixed.example", _PUBLIC, "127.0.0.2")
        dns.add("inner.example", "127.0.0.2")
        dns.alias("alias.example", "further.example")
        dns.alias("further.example", "inner.example")
        dns.add("six.example", "::1")
        dns.add("mapped.example", "::ffff:7f00:2")
        with gateway_sandbox(
            tmp_path, "isolation-dns", _ALLOW, EGRESS_RESOLVER=_resolver(dns)
        ) as made:
            runner = made.under(runtime)
            ran = [
                runner.fetch(pages.url("/", f"{name}.example"), allow_cidrs=_ALLOW)
                for name in names
            ]
    for each in ran:
        assert _reached(each) <= {_PUBLIC}
        assert each.egress.decisions
    assert {_outcome(each) for each in ran[1:]} == {Outcome.ADDRESS_REFUSED}
    assert {asked.rule for each in ran[1:] for asked in each.egress.decisions} == {Rule.LOOPBACK}


def test_a_slow_dns_is_given_up(tmp_path: Path) -> None:
    """A server that answers after ten seconds leads nowhere, with evidence, and before that."""
    with DnsServer() as dns, _page() as pages:
        dns.add("slow.example", _PUBLIC, delay_s=10)
        with gateway_sandbox(
            tmp_path, "isolation-dns", _ALLOW, EGRESS_RESOLVER=_resolver(dns)
        ) as made:
            ran = made.fetch(pages.url("/", "slow.example"), allow_cidrs=_ALLOW)
    assert _outcome(ran) is Outcome.DNS_FAILED
    assert ran.egress.decisions
    assert _reached(ran) == set()


def _page() -> PageServer:
    return PageServer({"/": lambda _: html("<title>Hi</title>")}, host=_PUBLIC)


def _resolver(dns: DnsServer) -> str:
    return f"127.0.0.1:{dns.port}"


def _outcome(ran: Fetched) -> Outcome | None:
    return ran.report.outcome if ran.report else None


def _reached(ran: Fetched) -> set[str]:
    """Return the addresses that the gateway connected to for this sandbox."""
    return {asked.address for asked in ran.egress.decisions if _is_open(asked)}


def _is_open(asked: EgressDecision) -> bool:
    return asked.allowed and asked.connect_ms is not None


def _on_wire(literal: str) -> str:
    """Return the literal as a server would put it into a Location header."""
    return literal.encode("utf-8", "surrogatepass").decode("latin-1")
