"""Parser confusion, from real sandboxes: whichever host a program sees, a private one is closed.

127.0.0.1 plays the public address here and 127.0.0.2 a private one. Raw requests are sent from
under both runtimes; the fetcher, which reads a URL alike under each, runs under runc.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from html import escape

import pytest

from safeurl.address import Rule
from safeurl.model.egress_evidence import EgressDecision
from safeurl.state import Outcome
from tests.support.canary import Canary
from tests.support.confusions import (
    ASKED_NAMES,
    CANARY_HOSTS,
    INNER_HOST,
    LANDING,
    LANDING_BY_STANDARD,
    NAMES,
    OPEN_HOST,
    REFUSED,
    REFUSED_BY_STANDARD,
    Ground,
)
from tests.support.dns import DnsServer
from tests.support.egress import Response, parse_answer
from tests.support.gateway_sandbox import Fetched, GatewaySandbox, gateway_sandbox
from tests.support.images import script_image
from tests.support.pages import PageServer, Reply, Request, html, redirect
from worker.egress.protocol import EgressPolicy
from worker.sandbox.runtime import RUNC

_ALLOW = (f"{OPEN_HOST}/32",)
_ALLOW_CANARY = ("127.0.0.0/8",)
_TEMPLATES = (*REFUSED, *LANDING)
_REFUSED_BY_STANDARD = {
    template: REFUSED_BY_STANDARD.get(template, rule)
    for template, rule in REFUSED.items()
    if template not in LANDING_BY_STANDARD
}
_LANDINGS = [
    *(("/redirect", *landing) for landing in (LANDING | LANDING_BY_STANDARD).items()),
    *(("/page", *landing) for landing in LANDING_BY_STANDARD.items()),
]
#: The gateway's own rules for bytes that are not a request to a proxy.
_UNREADABLE = frozenset({"bad_request", "method"})
#: Spellings of an address without other parts: only the address is refused.
_PLAIN = ("http://{inner}#@{open}/", "http://open.example@{inner}/", "http://127.0.0.2.:{port}/")

#: Writes each request to the gateway's socket itself, with no guard of ours in between.
_PROBE = """
import json, socket
answers = []
for head in json.loads({heads!r}):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(15)
        s.connect("/run/egress/egress.sock")
        s.sendall(head.encode("latin-1"))
        answers.append(s.recv(4096).decode("latin-1"))
print(json.dumps(answers))
"""


@dataclass(slots=True)
class Scene:
    """The allowed pages, the canary, the DNS server, and a sandbox that may reach the pages."""

    gateway_sandbox: GatewaySandbox
    pages: PageServer
    canary: Canary
    dns: DnsServer
    ground: Ground

    def fetch(self, path: str, template: str) -> Fetched:
        """Run the real fetcher on the page of this path that leads to the template's URL."""
        url = self.pages.url(f"{path}?n={_TEMPLATES.index(template)}")
        return self.gateway_sandbox.fetch(url, allow_cidrs=_ALLOW, timeout_s=6.0)

    def probe(self, allow: tuple[str, ...], runtime: str = RUNC) -> "Probed":
        """Request every template from the gateway in both ways, all from one sandbox."""
        self.forget()
        keys = [(template, way) for template in _TEMPLATES for way in ("CONNECT", "GET")]
        heads = [_head(key, self.ground) for key in keys]
        runner = replace(
            self.gateway_sandbox.under(runtime), policy=EgressPolicy(allow_cidrs=allow)
        )
        with script_image(_PROBE.format(heads=json.dumps(heads))) as image:
            ran, written = runner.run(image)
        answers = [parse_answer(each.encode("latin-1")) for each in json.loads(written)]
        pairs = zip(answers, ran.egress.decisions, strict=True)
        asked = dict(zip(keys, (Asked(*pair) for pair in pairs), strict=True))
        return Probed(asked, [*self.canary.visits], self.names())

    def forget(self) -> None:
        """Forget all visits, requests and questions so far."""
        for seen in (self.canary.visits, self.pages.requests, self.dns.questions):
            seen.clear()

    def names(self) -> set[str]:
        """Return the names that the DNS was queried for."""
        return {name for name, _, _ in self.dns.questions}


@dataclass(frozen=True, slots=True)
class Asked:
    """The gateway's answer to one request, and its record of it."""

    answer: Response
    decision: EgressDecision


@dataclass(frozen=True, slots=True)
class Probed:
    """The result of each template, requested in each way, and of all of them together."""

    asked: dict[tuple[str, str], Asked]
    visits: list[str]
    names: set[str]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Set everything up once; the canary's visits are each test's own to judge."""
    with ExitStack() as stack:
        dns = stack.enter_context(DnsServer())
        for name, address in NAMES.items():
            dns.add(name, address)
        canary = stack.enter_context(Canary(CANARY_HOSTS))
        pages = stack.enter_context(PageServer(fallback=lambda _: html("<p>landed")))
        ground = Ground(pages.port, canary.port)
        pages.routes |= {
            "/redirect": lambda request: redirect(_on_wire(_wanted(request, ground))),
            "/page": lambda request: _leading_page(_wanted(request, ground)),
        }
        resolver = f"127.0.0.1:{dns.port}"
        folder = tmp_path_factory.mktemp("parsers")
        made = stack.enter_context(
            gateway_sandbox(folder, "isolation-parsers", _ALLOW, EGRESS_RESOLVER=resolver)
        )
        yield Scene(made, pages, canary, dns, ground)


@pytest.fixture
def untouched(scene: Scene) -> Iterator[Scene]:
    """Return the scene; fail if a canary was reached or the DNS got a refused name."""
    scene.forget()
    yield scene
    assert scene.canary.visits == []
    assert scene.names() <= ASKED_NAMES


@pytest.fixture(scope="module")
def probed(scene: Scene, runtime: str) -> Probed:
    """Request everything once under each runtime, with only the pages allowed."""
    return scene.probe(_ALLOW, runtime)


@pytest.mark.parametrize("template", _REFUSED_BY_STANDARD, ids=ascii)
def test_a_redirect_is_refused(untouched: Scene, template: str) -> None:
    """With a `Location`, the real fetcher opens nothing and gives the reason."""
    ran = untouched.fetch("/redirect", template)
    assert ran.report is not None
    assert ran.report.outcome is Outcome.ADDRESS_REFUSED
    expected = _REFUSED_BY_STANDARD[template]
    assert [refusal.rule for refusal in ran.evidence.refusals] == [expected]
    assert _reached(ran) == {(OPEN_HOST, untouched.pages.port)}


@pytest.mark.parametrize("template", _REFUSED_BY_STANDARD, ids=ascii)
def test_a_refresh_and_an_icon_are_refused(untouched: Scene, template: str) -> None:
    """A page that leads there by itself is seen, and neither target of it is opened."""
    ran = untouched.fetch("/page", template)
    assert ran.report is not None
    assert ran.report.outcome is Outcome.OK
    expected = _REFUSED_BY_STANDARD[template]
    assert {refusal.rule for refusal in ran.evidence.refusals} == {expected}
    assert ran.evidence.page is not None
    assert ran.evidence.page.favicon is not None
    assert f"({expected})" in ran.evidence.page.favicon.error
    assert _reached(ran) == {(OPEN_HOST, untouched.pages.port)}


@pytest.mark.parametrize("way", ["CONNECT", "GET"])
@pytest.mark.parametrize("template", REFUSED, ids=ascii)
def test_the_gateway_refuses_the_bytes(probed: Probed, template: str, way: str) -> None:
    """Without the fetcher's guard the answer is a refusal, and the record names its rule."""
    asked = probed.asked[template, way]
    assert asked.answer.status in {400, 403, 405}
    assert (asked.decision.allowed, asked.decision.connect_ms) == (False, None)
    assert asked.decision.rule == asked.answer.reason
    assert asked.decision.rule in {REFUSED[template], *_UNREADABLE}


def test_the_bytes_reach_nobody(probed: Probed) -> None:
    """No request of the probe reached a canary, or the DNS with a refused name."""
    assert probed.visits == []
    assert probed.names <= ASKED_NAMES


@pytest.mark.parametrize(("path", "template", "target"), _LANDINGS, ids=ascii)
def test_what_the_standard_reads_as_allowed_lands_there(
    untouched: Scene, path: str, template: str, target: str
) -> None:
    """The private host is in user name, path or fragment, where no program may look for it."""
    ran = untouched.fetch(path, template)
    assert ran.report is not None
    assert ran.report.outcome is Outcome.OK
    targets = [request.target for request in untouched.pages.requests]
    assert untouched.ground.fill(target) in targets
    assert _reached(ran) == {(OPEN_HOST, untouched.pages.port)}


@pytest.mark.parametrize("template", LANDING, ids=ascii)
def test_the_gateway_lands_there_or_nowhere(probed: Probed, scene: Scene, template: str) -> None:
    """A tunnel accepts no such authority; a plain request with a full URL reaches its host."""
    assert probed.asked[template, "CONNECT"].decision.rule == "bad_request"
    plain = probed.asked[template, "GET"]
    if template.startswith("http://"):
        went = (plain.decision.address, plain.decision.port)
        assert (plain.answer.status, went) == (200, (OPEN_HOST, scene.pages.port))
    else:
        assert plain.decision.rule == "method"


@pytest.mark.parametrize("template", _PLAIN)
def test_the_canary_is_reached_where_it_is_allowed(scene: Scene, template: str) -> None:
    """The control: under a wider policy the same redirect leads the same fetcher to it."""
    scene.forget()
    wide = replace(scene.gateway_sandbox, policy=EgressPolicy(allow_cidrs=_ALLOW_CANARY))
    url = scene.pages.url(f"/redirect?n={_TEMPLATES.index(template)}")
    ran = wide.fetch(url, allow_cidrs=_ALLOW_CANARY, timeout_s=6.0)
    assert (INNER_HOST, scene.canary.port) in _reached(ran)
    assert set(scene.canary.visits) == {INNER_HOST}


def test_the_probe_reaches_the_canary_where_it_is_allowed(scene: Scene) -> None:
    """The control case for raw requests: only those refused for their address alone are sent."""
    probed = scene.probe(_ALLOW_CANARY)
    reached = {key for key, each in probed.asked.items() if each.decision.address == INNER_HOST}
    assert {(template, "GET") for template in _PLAIN} <= reached
    assert ("http://127.0.0.2.:{port}/", "CONNECT") in reached
    assert {REFUSED[template] for template, _ in reached} == {Rule.LOOPBACK}
    assert probed.visits == [INNER_HOST] * len(reached)


def _head(key: tuple[str, str], ground: Ground) -> str:
    """Return the request's bytes, one character each; its Host also names the canary."""
    template, way = key
    url = _on_wire(ground.fill(template))
    target = url.removeprefix("http://").removesuffix("/") if way == "CONNECT" else url
    return f"{way} {target} HTTP/1.1\r\nHost: {INNER_HOST}:{ground.port}\r\n\r\n"


def _wanted(request: Request, ground: Ground) -> str:
    return ground.fill(_TEMPLATES[int(request.query["n"])])


def _leading_page(url: str) -> Reply:
    target = escape(url)
    return html(
        f'<meta http-equiv="refresh" content="0; url={target}"><link rel="icon" href="{target}">'
    )


def _reached(ran: Fetched) -> set[tuple[str, int]]:
    """Return the targets to which the gateway tried to connect for this sandbox."""
    decisions = ran.egress.decisions
    return {(each.address, each.port) for each in decisions if each.connect_ms is not None}


def _on_wire(text: str) -> str:
    """Return the text as a server would put it into a header: a character for each byte."""
    return text.encode().decode("latin-1")
