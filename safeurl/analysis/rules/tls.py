"""Signs in certificates, all weak: attackers get valid ones, and old sites have invalid ones."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from safeurl.analysis.context import MAX_HOPS, Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.model.report import Tls
from safeurl.model.verdict import Group

_YOUNG = timedelta(days=3)


def expired(ctx: Context) -> Iterator[Finding]:
    """Find a certificate that had expired when the page was fetched."""
    for pointer, tls in _handshakes(ctx):
        end = _time(tls.not_after)
        if ctx.seen_at and end and end < ctx.seen_at:
            yield Finding(f"{pointer}/not_after", "The certificate had expired.", tls.not_after)


def untrusted(ctx: Context) -> Iterator[Finding]:
    """Find a certificate that no authority confirms, or that is for another name."""
    for pointer, tls in _handshakes(ctx):
        if not tls.verified and "expired" not in tls.verify_error.lower():
            where = f"{pointer}/verify_error" if tls.verify_error else pointer
            yield Finding(where, "The certificate does not verify.", tls.verify_error)


def young(ctx: Context) -> Iterator[Finding]:
    """Find a certificate that is days old; many harmless ones are, as they renew automatically."""
    for pointer, tls in _handshakes(ctx):
        start = _time(tls.not_before)
        if ctx.seen_at and start and timedelta() <= ctx.seen_at - start < _YOUNG:
            reason = f"The certificate was less than {_YOUNG.days} days old."
            yield Finding(f"{pointer}/not_before", reason, tls.not_before)


def _handshakes(ctx: Context) -> Iterator[tuple[str, Tls]]:
    for i, hop in enumerate(ctx.evidence.hops[:MAX_HOPS]):
        if hop.tls is not None:
            yield f"/hops/{i}/tls", hop.tls


def _time(stamp: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


RULES = (
    Rule(id="tls.expired", group=Group.TLS, weight=Weight.WEAK, check=expired),
    Rule(id="tls.untrusted", group=Group.TLS, weight=Weight.WEAK, check=untrusted),
    Rule(id="tls.young", group=Group.TLS, weight=Weight.FAINT, check=young),
)
