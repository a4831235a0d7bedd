"""Makes the final record of a scan from its evidence: verdict, result row and final state."""

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
    """Return the final record of an ANALYZING scan. Its outcome, evidence and artefacts are stored.

    For a large page, the rules may need tenths of a second.
    """
    outcome = scan.outcome or Outcome.OK
    verdict = judge(evidence, url=scan.url, seen_at=scan.created_at, submitted=scan.submitted_url)
    return FinalRecord(
        state=final_state(outcome),
        outcome=outcome,
        detail=scan.detail,
        result=_result(scan, outcome, evidence, verdict, now),
    )


def final_without_page(  # noqa: PLR0913 - one keyword per fact about the attempt
    scan: Scan,
    outcome: Outcome,
    *,
    detail: str | None,
    now: datetime,
    evidence: Evidence | None = None,
    artefacts: Sequence[Artefact] = (),
    sandbox: SandboxFacts | None = None,
) -> FinalRecord:
    """Return the final record of a scan without a page, with the evidence of its last attempt.

    If `evidence` is None, the evidence of an earlier attempt stays stored.
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
