"""What a sandbox asks of its gateway for the doctor, and what the answers must be. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from safeurl.model.report import EgressEvidence, Evidence
from safeurl.state import Outcome
from worker.doctor.fake_dns import LYING, OPEN, PRIVATE, REBINDING
from worker.doctor.finding import Finding, passed, ruled, warned
from worker.doctor.honeypot import REBOUND, REDIRECTED, Lure

#: Answers to request heads, by what was asked for.
Answers = Mapping[str, Sequence[str]]
#: What is wrong, and what is to be said where nothing is.
Judgement = tuple[list[str], str]
Judge = Callable[[Answers], Judgement]

#: The literals of SECURITY.md.
_LITERALS: Final = (
    *("0", "0.0.0.0", "127.1", "127.127.127.127", "2130706433", "3232235521", "2852039166"),  # noqa: S104 - asked for, not bound
    *("0177.0.0.1", "0x7f.1", "127.0.0.1.", "10.0.0.1", "172.17.0.1", "192.168.1.1"),
    *("[::]", "[::1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[fec0::1]", "[fe80::1]", "[fd00:ec2::254]"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460"),
    *("localhost", "localhost.", "app.localhost", "metadata.google.internal"),
)
#: Addresses behind what only a URL can hold.
_BEHIND: Final = ("example.com@127.0.0.1", "127.0.0.1:80@10.0.0.1")
#: Requests that programs read differently, or that no proxy for pages serves.
_OTHERS: Final = (
    "CONNECT x:80\\@127.0.0.1:80",
    "CONNECT 127.0.0.1%00.example.com:80",
    "CONNECT 127.0.0.1\t:80",
    "CONNECT a@127.0.0.1:80",
    "CONNECT 127.0.0.1:+80",
    "CONNECT 127.0.0.1:0",
    "GET http://1.1.1.1 &@127.0.0.1# @127.0.0.1/",
    "GET http://127.0.0.1\\@example.com/",
    "GET file:///etc/passwd",
    "GET ftp://127.0.0.1/",
    "GET gopher://127.0.0.1:6379/",
    "GET /",
    "OPTIONS *",
)
#: Services behind ports that no page may name, though their address is let through.
_PORTS: Final = (22, 25, 53, 2375, 3306, 5432, 6379, 11211)

#: Bad request, refused by a rule, not a proxy's business: nothing was dialled.
_REFUSED: Final = frozenset({"400", "403", "405"})
_OPENED: Final = "200"
ADVICE: Final = "Remove the exceptions (EGRESS_ALLOW_...); if there are none, do not scan here."

_RESOLVER: Final = "See that its host and its firewall let it ask a DNS, or set EGRESS_RESOLVER."


def policy_requests() -> dict[str, dict[str, list[str]]]:
    """Return the requests that the operator's policy must refuse."""
    literals = {literal: [_connect(literal, 80), _plain(literal)] for literal in _LITERALS}
    literals |= {url: [_plain(url)] for url in _BEHIND}
    others = {each: [f"{each} HTTP/1.1\r\nHost: doctor.test\r\n\r\n"] for each in _OTHERS}
    return {"literals": literals, "others": others}


def resolver_requests(token: str) -> dict[str, dict[str, list[str]]]:
    """Return the request for a name that no DNS knows.

    `.example` stays empty and, unlike `.invalid`, is asked for upstream (RFC 6761): who answers
    that it does not exist has reached a DNS.
    """
    name = f"doctor-{token}.example"
    return {"resolver": {name: [_connect(name, 80)]}}


def lure_requests(port: int) -> dict[str, dict[str, list[str]]]:
    """Return the requests for what the doctor holds out behind a gateway of its own."""
    return {
        "open": {OPEN: [_connect(OPEN, port)]},
        "names": {name: [_connect(name, port)] for name in LYING},
        "rebinding": {REBINDING: [_connect(REBINDING, port)] * 2},
        "ports": {str(each): [_connect(OPEN, each)] for each in _PORTS},
    }


def _connect(host: str, port: int) -> str:
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"


def _plain(host: str) -> str:
    return f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def refused(what: str) -> Judge:
    """Return the judge that all of these were refused by a rule."""

    def judge(answers: Answers) -> Judgement:
        faults = [
            f"{asked!r} was let through ({answer or 'no answer'})"
            for asked, given in answers.items()
            for answer in dict.fromkeys(given)
            if answer[:3] not in _REFUSED
        ]
        return faults, f"{len(answers)} {what}: refused"

    return judge


def way_out(answers: Answers) -> Judgement:
    """Judge that what is allowed is opened: a gateway that refuses all proves nothing."""
    answer = answers[OPEN][0]
    faults = [] if answer.startswith(_OPENED) else [f"an allowed connection was not made: {answer}"]
    return faults, "an allowed connection is made"


def rebinding(lure: Lure) -> Judge:
    """Return the judge that a name is resolved once per connection, and anew for the next."""

    def judge(answers: Answers) -> Judgement:
        first, second = answers[REBINDING]
        faults = [] if first.startswith(_OPENED) else [f"its public address: {first}"]
        faults += [] if second[:3] in _REFUSED else [f"its private address: {second}"]
        faults += [f"{PRIVATE} was reached"] if lure.hits[REBOUND] else []
        return faults, "a name that turns private is refused"

    return judge


def resolver(answers: Answers) -> Finding:
    """Judge that the gateway that scans go through can look names up; scans fail, but contained."""
    [(asked, (answer,))] = answers.items()
    if answer.endswith(Outcome.DNS_NXDOMAIN):
        return passed("gateway-resolver", "the gateway in use looks names up")
    detail = f"for {asked}, which does not exist, the gateway in use has {answer or 'no answer'}"
    return warned("gateway-resolver", detail, _RESOLVER)


def redirect(name: str, evidence: Evidence, record: EgressEvidence, lure: Lure) -> Finding:
    """Judge that the fetcher followed a redirect to the wall, and no further."""
    first = [hop.status for hop in evidence.hops[:1]]
    by_fetcher = any(each.host == PRIVATE for each in evidence.refusals)
    by_gateway = any(each.name == PRIVATE and not each.allowed for each in record.decisions)
    faults = [] if first == [302] else ["the fetcher did not reach the page that redirects"]
    faults += [] if by_fetcher or by_gateway else ["no refusal is on record"]
    faults += [f"{PRIVATE} was reached"] if lure.hits[REDIRECTED] else []
    by = "the gateway" if by_gateway else "the fetcher"
    return ruled(name, faults, f"a redirect to {PRIVATE} is refused by {by}", ADVICE)
