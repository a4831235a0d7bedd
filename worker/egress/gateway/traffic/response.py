"""The heads that the gateway answers with; the fetcher reads its evidence from them."""

from http import HTTPStatus
from typing import Final

from safeurl.model.report import EgressDecision

_RULE: Final = "X-SafeURL-Rule"
_OUTCOME: Final = "X-SafeURL-Outcome"


def tunnel_open(decision: EgressDecision) -> bytes:
    """Answer a CONNECT: from the next byte on it is the other end that speaks."""
    return _head(200, "Connected", _facts(decision))


def refused(status: int, decision: EgressDecision) -> bytes:
    """Answer a request that a rule or a cap refused."""
    return _closing(status, ((_RULE, decision.rule), *_facts(decision)))


def failed(decision: EgressDecision) -> bytes:
    """Answer a request that was let through and led nowhere."""
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
    # All values are our own words, numbers and addresses: none can hold a line break.
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
