"""The response heads of the gateway; the fetcher reads evidence from them."""

from http import HTTPStatus
from typing import Final

from safeurl.model.egress_evidence import EgressDecision

_RULE: Final = "X-SafeURL-Rule"
_OUTCOME: Final = "X-SafeURL-Outcome"


def tunnel_open(decision: EgressDecision) -> bytes:
    """Return the response to an allowed CONNECT; the server's bytes follow it."""
    return _head(200, "Connected", _facts(decision))


def refused(status: int, decision: EgressDecision) -> bytes:
    """Return the response to a request that a rule or a cap refused."""
    return _closing(status, ((_RULE, decision.rule), *_facts(decision)))


def failed(decision: EgressDecision) -> bytes:
    """Return the response to an allowed request whose server could not be reached."""
    return _closing(502, ((_OUTCOME, decision.outcome), *_facts(decision)))


def _facts(decision: EgressDecision) -> tuple[tuple[str, str], ...]:
    facts = (
        ("X-SafeURL-Addresses", ",".join(decision.addresses)),
        ("X-SafeURL-Address", decision.address),
        ("X-SafeURL-Dns-Ms", _number(decision.dns_ms)),
        ("X-SafeURL-Connect-Ms", _number(decision.connect_ms)),
    )
    return tuple((name, value) for name, value in facts if value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _closing(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    more = (("Content-Length", "0"), ("Connection", "close"))
    return _head(status, HTTPStatus(status).phrase, (*headers, *more))


def _head(status: int, phrase: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    # All values are rule names, numbers and addresses: none can contain a line break.
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
