"""From evidence to all that is written when a scan ends: verdict, result row, final state."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from safeurl.analysis import inconclusive, judge
from safeurl.model.attempt import FinalRecord, SandboxFacts
from safeurl.model.report import Evidence
from safeurl.model.scan import Artefact, Result, Scan
from safeurl.model.verdict import Verdict
from safeurl.state import Outcome, final_state


def final_from_evidence(scan: Scan, evidence: Evidence, now: datetime) -> FinalRecord:
    """Return the ending of an ANALYZING scan, whose outcome, evidence and artefacts are stored.

    The rules may take tenths of a second over a large page.
    """
    outcome = scan.outcome or Outcome.OK
    verdict = judge(evidence, url=scan.url, seen_at=scan.created_at, submitted=scan.submitted_url)
    return FinalRecord(
        state=final_state(outcome),
        outcome=outcome,
        detail=scan.detail,
        result=_result(scan, outcome, evidence, verdict, now),
    )


def final_without_page(  # noqa: PLR0913 - what is known of an attempt that saw no page
    scan: Scan,
    outcome: Outcome,
    *,
    detail: str | None,
    now: datetime,
    evidence: Evidence | None = None,
    artefacts: Sequence[Artefact] = (),
    sandbox: SandboxFacts | None = None,
) -> FinalRecord:
    """Return the ending of a scan that saw no page, with what evidence had come.

    Without evidence of its own, what an earlier attempt has stored stays.
    """
    seen = evidence or Evidence()
    verdict = inconclusive(outcome, seen, url=scan.url, submitted=scan.submitted_url)
    return FinalRecord(
        state=final_state(outcome),
        outcome=outcome,
        detail=detail or None,
        result=_result(scan, outcome, seen, verdict, now),
        artefacts=tuple(artefacts),
        sandbox=sandbox,
        evidence_json=None if evidence is None else msgspec.json.encode(evidence).decode(),
    )


def _result(
    scan: Scan, outcome: Outcome, evidence: Evidence, verdict: Verdict, now: datetime
) -> Result:
    last = evidence.hops[-1] if evidence.hops else None
    return Result(
        scan_id=scan.id,
        attempt=scan.attempt,
        outcome=outcome,
        score=verdict.score,
        verdict=verdict.judgement,
        categories=tuple(verdict.categories),
        verdict_json=msgspec.json.encode(verdict).decode(),
        ruleset=verdict.ruleset,
        final_url=last.url if last else None,
        http_status=last.status if last else None,
        title=(evidence.page.title or None) if evidence.page else None,
        created_at=now,
    )
