"""No network: from inside real sandboxes nothing is reached but what the gateway allows."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from safeurl.report import EgressDecision
from safeurl.state import Outcome
from tests.support.cell import Cell, Fetched, cell
from tests.support.dns import DnsServer
from tests.support.images import script_image
from tests.support.pages import PageServer, html, redirect
from tests.support.vectors import LITERALS

_EVERYWHERE = ("0.0.0.0/0", "::/0")

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
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """Return a cell whose gateway allows 127.0.0.1 alone, where the test's pages are."""
    with cell(tmp_path_factory.mktemp("strict"), "isolation-strict", ["127.0.0.1/32"]) as made:
        yield made


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, runtime: str) -> Iterator[dict[str, object]]:
    """Run the probe once under the default policy and each runtime; return what it found."""
    with (
        script_image(_PROBE) as image,
        cell(tmp_path_factory.mktemp("probe"), "isolation-probe") as made,
    ):
        made.settings = replace(made.settings, runtime=runtime)
        _, written = made.run(image)
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


@pytest.mark.parametrize("literal", LITERALS)
def test_a_redirect_to_each_literal_is_refused(strict: Cell, literal: str) -> None:
    """The real fetcher, led to the literal by a redirect, opens nothing and says so."""
    with PageServer({"/": lambda _: redirect(f"http://{_on_wire(literal)}:8/")}) as pages:
        ran = strict.fetch(pages.url("/"), allow_cidrs=("127.0.0.1/32",))
    assert ran.report is not None
    # Even where it spells 127.0.0.1, which this cell allows: port 8 stays closed.
    assert ran.report.outcome in {Outcome.ADDRESS_REFUSED, Outcome.HTTP_ERROR}
    assert _reached(ran) == {"127.0.0.1"}


@pytest.mark.parametrize(
    "literal", ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "2130706434", "[::ffff:7f00:2]"]
)
def test_the_gateway_stands_without_the_fetchers_guard(strict: Cell, literal: str) -> None:
    """A fetcher told to allow everything is still refused by the gateway, with evidence."""
    ran = strict.fetch(f"http://{literal}/", allow_cidrs=_EVERYWHERE)
    assert ran.report is not None
    assert ran.report.outcome is Outcome.ADDRESS_REFUSED
    assert [asked.allowed for asked in ran.egress.decisions] == [False]
    assert ran.evidence.refusals[0].rule == ran.egress.decisions[0].rule


def test_a_page_comes_through_with_evidence(strict: Cell, runtime: str) -> None:
    """What the policy allows is fetched, and both records name the same address."""
    made = replace(strict, settings=replace(strict.settings, runtime=runtime))
    with PageServer({"/": lambda _: html("<title>Through</title>")}) as pages:
        ran = made.fetch(pages.url("/"), allow_cidrs=("127.0.0.1/32",))
    assert ran.evidence.page is not None
    assert ran.evidence.page.title == "Through"
    assert ran.evidence.hops[0].address == "127.0.0.1"
    assert _reached(ran) == {"127.0.0.1"}


def test_lying_names(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Rebinding, mixed answers, CNAME chains and a slow server: no refused address is reached.

    127.0.0.1 plays the public address here and 127.0.0.2 the private one, so that no packet of
    this test leaves loopback.
    """
    with DnsServer() as dns, PageServer({"/": lambda _: html("<title>Hi</title>")}) as pages:
        dns.sequence("rebind.example", ["127.0.0.1"], ["127.0.0.2"])
        dns.add("mixed.example", "127.0.0.1", "127.0.0.2")
        dns.add("inner.example", "127.0.0.2")
        dns.alias("alias.example", "further.example")
        dns.alias("further.example", "inner.example")
        dns.add("slow.example", "127.0.0.1", delay_s=10)
        resolver = f"127.0.0.1:{dns.port}"
        folder = tmp_path_factory.mktemp("dns")
        with cell(folder, "isolation-dns", ["127.0.0.1/32"], EGRESS_RESOLVER=resolver) as made:
            ran = [
                made.fetch(f"http://{name}.example:{pages.port}/", allow_cidrs=("127.0.0.1/32",))
                for name in ("rebind", "rebind", "mixed", "alias", "slow")
            ]
    for each in ran:
        assert _reached(each) <= {"127.0.0.1"}
        assert each.egress.decisions
    refused, failed = Outcome.ADDRESS_REFUSED, Outcome.DNS_FAILED
    assert [_outcome(each) for each in ran[1:]] == [refused, refused, refused, failed]


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
