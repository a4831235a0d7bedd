"""The requests that the probe sends to the gateway, and the checks of the responses. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Evidence
from safeurl.state import Outcome
from worker.doctor.fake_dns import PRIVATE, PRIVATE_NAMES, PUBLIC_NAME, REBINDING_NAME
from worker.doctor.finding import Evaluation, Finding, finding_from_faults, passed, warned
from worker.doctor.honeypot import REBOUND, REDIRECTED, Honeypot

#: The responses to the heads of each request, by the requested host or line.
Responses = Mapping[str, Sequence[str]]

Evaluate = Callable[[Responses], Evaluation]

#: Spellings of addresses that no page may reach.
_LITERALS: Final = (
    *("0", "0.0.0.0", "127.1", "127.127.127.127", "2130706433", "3232235521", "2852039166"),  # noqa: S104 - requested, not bound
    *("0177.0.0.1", "0x7f.1", "127.0.0.1.", "10.0.0.1", "172.17.0.1", "192.168.1.1"),
    *("[::]", "[::1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[fec0::1]", "[fe80::1]", "[fd00:ec2::254]"),
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460"),
    *("localhost", "localhost.", "app.localhost", "metadata.google.internal"),
)
#: Addresses after a user name, which only a URL can contain.
_BEHIND: Final = ("example.com@127.0.0.1", "127.0.0.1:80@10.0.0.1")
#: Requests that programs interpret differently, or that are no business of a forward proxy.
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
#: Ports of services that no page may reach, even at an allowed address.
_PORTS: Final = (22, 25, 53, 2375, 3306, 5432, 6379, 11211)

#: Bad request, refused by a rule, method not allowed: the gateway opened no connection.
_REFUSED_STATUSES: Final = frozenset({"400", "403", "405"})
_OPENED_STATUS: Final = "200"
ADVICE: Final = "Remove the exceptions (EGRESS_ALLOW_...); if there are none, do not scan here."

_RESOLVER_ADVICE: Final = (
    "Make sure that its host and its firewall allow DNS queries, or set EGRESS_RESOLVER."
)


def policy_requests() -> dict[str, dict[str, list[str]]]:
    """Return the requests that every policy must refuse."""
    literals = {literal: [_connect(literal, 80), _forward(literal)] for literal in _LITERALS}
    literals |= {url: [_forward(url)] for url in _BEHIND}
    others = {each: [f"{each} HTTP/1.1\r\nHost: doctor.test\r\n\r\n"] for each in _OTHERS}
    return {"literals": literals, "others": others}


def resolver_requests(token: str) -> dict[str, dict[str, list[str]]]:
    """Return the request for a name that does not exist.

    `.example` has no names, and unlike `.invalid` resolvers send its queries upstream (RFC 6761):
    the response that the name does not exist proves that a DNS server was reached.
    """
    name = f"doctor-{token}.example"
    return {"resolver": {name: [_connect(name, 80)]}}


def honeypot_requests(port: int) -> dict[str, dict[str, list[str]]]:
    """Return the requests for the names and ports of the honeypot."""
    return {
        "open": {PUBLIC_NAME: [_connect(PUBLIC_NAME, port)]},
        "names": {name: [_connect(name, port)] for name in PRIVATE_NAMES},
        "rebinding": {REBINDING_NAME: [_connect(REBINDING_NAME, port)] * 2},
        "ports": {str(each): [_connect(PUBLIC_NAME, each)] for each in _PORTS},
    }


def _connect(host: str, port: int) -> str:
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"


def _forward(host: str) -> str:
    return f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def all_refused(what: str) -> Evaluate:
    """Return a check that a rule refused all of these requests."""

    def evaluate(answers: Responses) -> Evaluation:
        faults = [
            f"{asked!r} was not refused ({answer or 'no response'})"
            for asked, given in answers.items()
            for answer in dict.fromkeys(given)
            if answer[:3] not in _REFUSED_STATUSES
        ]
        return faults, f"{len(answers)} {what}: refused"

    return evaluate


def allowed_connection(answers: Responses) -> Evaluation:
    """Check that an allowed connection opens: a gateway that refuses everything proves nothing."""
    answer = answers[PUBLIC_NAME][0]
    faults = (
        []
        if answer.startswith(_OPENED_STATUS)
        else [f"an allowed connection was not made: {answer}"]
    )
    return faults, "an allowed connection is made"


def rebinding(honeypot: Honeypot) -> Evaluate:
    """Return a check that the gateway resolves a name again for each connection."""

    def evaluate(answers: Responses) -> Evaluation:
        first, second = answers[REBINDING_NAME]
        faults = [] if first.startswith(_OPENED_STATUS) else [f"its public address: {first}"]
        faults += [] if second[:3] in _REFUSED_STATUSES else [f"its private address: {second}"]
        faults += [f"{PRIVATE} was reached"] if honeypot.connection_counts[REBOUND] else []
        return faults, "a name that changes to a private address is refused"

    return evaluate


def resolver(answers: Responses) -> Finding:
    """Warn if the gateway that scans use cannot resolve names: scans would fail, but isolated."""
    [(asked, (answer,))] = answers.items()
    if answer.endswith(Outcome.DNS_NXDOMAIN):
        return passed("gateway-resolver", "the gateway in use resolves names")
    detail = f"for {asked}, which does not exist, the gateway in use has {answer or 'no response'}"
    return warned("gateway-resolver", detail, _RESOLVER_ADVICE)


def redirect(name: str, evidence: Evidence, record: EgressEvidence, honeypot: Honeypot) -> Finding:
    """Check that the fetcher followed the redirect, and that the private address was refused."""
    first = [hop.status for hop in evidence.hops[:1]]
    by_fetcher = any(each.host == PRIVATE for each in evidence.refusals)
    by_gateway = any(each.name == PRIVATE and not each.allowed for each in record.decisions)
    faults = [] if first == [302] else ["the fetcher did not reach the page that redirects"]
    faults += [] if by_fetcher or by_gateway else ["no refusal is on record"]
    faults += [f"{PRIVATE} was reached"] if honeypot.connection_counts[REDIRECTED] else []
    by = "the gateway" if by_gateway else "the fetcher"
    return finding_from_faults(name, faults, f"a redirect to {PRIVATE} is refused by {by}", ADVICE)
