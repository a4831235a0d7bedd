"""The final record of a scan: the same evidence gives the same record, on every host."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from safeurl.model.report import Evidence, Hop, Page, Tls
from safeurl.services.conclusion import final_from_evidence, final_without_page
from safeurl.state import Outcome, State
from tests.support.builders import NOW, make_artefact, make_scan

_SCAN = make_scan(state=State.ANALYZING, attempt=2, outcome=Outcome.OK)
#: Valid when the page was seen, and young then.
_TLS = Tls(
    version="TLSv1.3",
    not_before=(NOW - timedelta(days=1)).isoformat(),
    not_after=(NOW + timedelta(days=1)).isoformat(),
    verified=True,
)
_EVIDENCE = Evidence(
    hops=(
        Hop(url="https://example.com/", status=302, tls=_TLS),
        Hop(url="https://example.com/login", status=404, via="redirect", tls=_TLS),
    ),
    page=Page(title="Sign in"),
)


def test_a_verdict_does_not_depend_on_when_it_is_drawn() -> None:
    """A rescuer judges by the time of the scan: no certificate has expired or aged meanwhile."""
    now, later = (
        final_from_evidence(_SCAN, _EVIDENCE, NOW + age).result
        for age in (timedelta(), timedelta(days=99))
    )
    assert replace(later, created_at=now.created_at) == now
    assert "days old" in now.verdict_json


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.OK, State.COMPLETED), (Outcome.BODY_TOO_LARGE, State.COMPLETED)]
)
def test_what_was_seen_is_concluded_as_the_scan_has_it(outcome: Outcome, state: State) -> None:
    """Outcome, detail and attempt come from the stored scan; the page is the last hop's."""
    scan = replace(_SCAN, outcome=outcome, detail="Cut off.")
    ending = final_from_evidence(scan, _EVIDENCE, NOW)
    assert (ending.state, ending.outcome, ending.detail) == (state, outcome, "Cut off.")
    assert ending.evidence_json is None
    result = ending.result
    assert (result.scan_id, result.attempt, result.outcome) == (scan.id, 2, outcome)
    assert (result.final_url, result.http_status) == ("https://example.com/login", 404)
    assert (result.title, result.created_at) == ("Sign in", NOW)


def test_what_was_given_up_keeps_what_had_come() -> None:
    """The record has the attempt's evidence and artefacts, with an inconclusive verdict."""
    ending = final_without_page(
        _SCAN,
        Outcome.WALL_TIMEOUT,
        detail="Too late.",
        now=NOW,
        evidence=_EVIDENCE,
        artefacts=[make_artefact()],
    )
    assert (ending.state, ending.detail) == (State.TIMED_OUT, "Too late.")
    assert ending.artefacts == (make_artefact(),)
    assert msgspec.json.decode(ending.evidence_json or "", type=Evidence) == _EVIDENCE
    assert (ending.result.verdict, ending.result.attempt) == ("inconclusive", 2)
    assert ending.result.final_url == "https://example.com/login"


def test_without_evidence_of_its_own_an_end_leaves_the_stored_one() -> None:
    """A scan that is cancelled or lost has found nothing new."""
    ending = final_without_page(_SCAN, Outcome.CANCELLED, detail="", now=NOW)
    assert (ending.state, ending.detail, ending.evidence_json) == (State.FAILED, None, None)
    assert (ending.result.final_url, ending.result.title) == (None, None)
