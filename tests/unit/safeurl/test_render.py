"""The display of hostile text in a terminal."""

from dataclasses import replace
from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from safeurl.cli.view.render import print_audit, print_list, print_view
from safeurl.cli.view.screen import Screen
from safeurl.cli.view.watch import state_line
from safeurl.defang import safe_url
from safeurl.model.attempt import Attempt
from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from safeurl.model.report import Evidence, Refusal
from safeurl.model.scan import AuditEntry, VerdictSummary
from safeurl.model.view import ScanView
from safeurl.printable import clean
from safeurl.services.conclusion import final_without_page
from safeurl.state import Outcome, State
from tests.support.builders import NOW, make_scan


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("two\nlines\r\nhere", "two lines here"),
        ("a\u202eevil\u202c", "a evil"),
        ("\x9b1;31m", "1;31m"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("x" * 500, "x" * 159 + "…"),
        ("\ud800", ""),
    ],
)
def test_clean_text(hostile: str, shown: str) -> None:
    """Control and direction marks go, everything is one short line."""
    assert clean(hostile) == shown


def test_urls_are_defanged() -> None:
    """A URL in text output cannot be clicked."""
    assert safe_url("https://evil.example/a") == "hxxps://evil[.]example/a"


def _entry(event: str, detail: str | None = None, to_state: State | None = None) -> AuditEntry:
    return AuditEntry(
        id=1,
        scan_id="s",
        event=event,
        from_state=State.ANALYZING if to_state else None,
        to_state=to_state,
        version=3,
        attempt=1,
        actor="worker-1.example.org:12345",
        outcome=None,
        detail=detail,
        at=NOW,
    )


TRAIL = [
    _entry("sandbox", '{"exit_code": 0, "error": null, "ms": {"run": 812.4}}'),
    _entry("transition", to_state=State.COMPLETED),
]


ATTEMPT = Attempt(
    scan_id="s", attempt=1, owner="w", started_at=NOW, run_ms=812.4, exit_code=0, oom_killed=False
)


def test_tables_fit_a_terminal_of_eighty_columns() -> None:
    """Ids, states and moves are complete, and the facts of a sandbox are short."""
    console = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    done = make_scan(state=State.COMPLETED, finished_at=NOW)
    judged = VerdictSummary(scan_id=done.id, score=35, verdict="inconclusive")
    print_list(Screen(console), [make_scan(), done], {done.id: judged})
    print_audit(Screen(console), TRAIL, [ATTEMPT])
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    for whole in (
        make_scan().id[:8],
        "QUEUED",
        "inconclusive 35",
        "ANALYZING → COMPLETED",
        "worker-1.example.org:12345",
    ):
        assert whole in shown
    assert "run 812 ms" in shown
    assert len(shown.splitlines()) <= 9


@pytest.mark.parametrize("width", [30, 40, 80])
def test_nothing_is_dropped_where_a_table_has_no_room(width: int) -> None:
    """Lines replace columns: ids, URLs, times and reasons can all be read and copied."""
    console = Console(file=StringIO(), force_terminal=True, width=width, color_system=None)
    scan = make_scan()
    host = "ip-10-0-12-34.eu-west-1.compute.internal/3f2c9a:4821"
    print_list(Screen(console), [scan], {})
    trail = [replace(TRAIL[0], actor=host), replace(TRAIL[1], actor=host)]
    print_audit(Screen(console), trail, [ATTEMPT])
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    for whole in (scan.id, safe_url(scan.url), "QUEUED", "ANALYZING → COMPLETED", host):
        assert whole in shown, shown
    assert "run 812 ms, exit code 0" in shown
    assert "…" not in shown


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"run_ms": None, "exit_code": None, "fetch_ms": 31.6}, "fetch 32 ms"),
        ({"run_ms": None, "exit_code": 1, "fetch_ms": 31.6}, "fetch 32 ms, exit code 1"),
    ],
)
def test_what_is_known_of_a_sandbox_is_shown_in_short(changes: dict[str, Any], shown: str) -> None:
    """A sandbox whose report was complete was not waited for, so it has no exit status."""
    # Any: the values are those of whatever field a case changes.
    console = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    entry = next(each for each in TRAIL if each.event == "sandbox")
    print_audit(Screen(console), [entry], [replace(ATTEMPT, **changes)])
    assert isinstance(console.file, StringIO)
    assert shown in console.file.getvalue()


def test_a_pipe_gets_everything_between_tabs() -> None:
    """Scripts get each complete column, for every width."""
    console = Console(file=StringIO(), width=20)
    print_audit(Screen(console), TRAIL)
    assert isinstance(console.file, StringIO)
    rows = [line.split("\t") for line in console.file.getvalue().splitlines()]
    assert rows[0] == ["time", "event", "move", "version", "actor", "detail"]
    assert rows[1][5] == TRAIL[0].detail


def test_what_the_gateway_refused_is_shown_whatever_the_sandbox_says() -> None:
    """Each refusal is shown once: the fetcher's, and those that only the gateway recorded."""
    decisions = (
        EgressDecision(name="[::1]", port=80, rule="loopback", addresses=("::1",)),
        EgressDecision(name="hidden.example", port=8080, rule="private", addresses=("10.0.0.1",)),
        EgressDecision(name="hidden.example", port=8080, rule="private", addresses=("10.0.0.1",)),
        EgressDecision(name="", port=0, rule="bad_request"),
        EgressDecision(name="example.com", port=443, rule="public", allowed=True),
    )
    evidence = Evidence(
        refusals=(
            Refusal(host="::1", port=80, rule="loopback", address="::1"),
            Refusal(host="\x1b[1mx", port=80, rule="a\x1b[2mb"),
        ),
        egress=EgressEvidence(decisions=decisions, requests=5),
    )
    view = ScanView(
        scan=make_scan(),
        result=None,
        artefacts=(),
        evidence_json=msgspec.json.encode(evidence).decode(),
        audit=(),
    )
    console = Console(file=StringIO(), width=200)
    print_view(Screen(console), view)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines if line.startswith("refused")] == [
        "refused: ::1:80 ::1 — loopback",
        "refused: unreadable:80 — unknown rule",
        "refused: hidden.example:8080 10.0.0.1 — private",
        "refused: unreadable:0 — bad_request",
    ]


def test_evidence_of_another_version_does_not_hide_the_scan() -> None:
    """The rest is shown, with a note about the missing part."""
    view = ScanView(
        scan=make_scan(), result=None, artefacts=(), evidence_json='{"later": 1}', audit=()
    )
    console = Console(file=StringIO(), width=200)
    print_view(Screen(console), view)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[2:] == [
        "state: QUEUED (attempt 0)",
        "evidence: written by another version of SafeURL; --json shows it as it is stored",
    ]


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_cancelled_scan_has_no_verdict(width: int, *, is_terminal: bool) -> None:
    """It is shown as cancelled, in lists and alone; its verdict would have no meaning."""
    console = Console(file=StringIO(), force_terminal=is_terminal, width=width, color_system=None)
    made = make_scan()
    ending = final_without_page(made, Outcome.CANCELLED, detail=None, now=NOW)
    scan = replace(made, state=State.FAILED, outcome=Outcome.CANCELLED, finished_at=NOW)
    print_list(Screen(console), [scan], {})
    print_view(
        Screen(console),
        ScanView(scan=scan, result=ending.result, evidence_json=None, artefacts=(), audit=()),
    )
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "cancelled" in shown
    assert "inconclusive" not in shown.lower()
    assert "not concluded" not in shown
    assert ("CANCELLED" in shown) is is_terminal


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome.CANCELLED, "cancelled"),
        (Outcome.DNS_FAILED, "failed"),
        (Outcome.LEASE_LOST, "failed"),
    ],
)
def test_a_step_to_failed_says_cancelled_where_it_was(outcome: Outcome, word: str) -> None:
    """A user who watches a scan reads the reason of its end."""
    assert state_line(State.FAILED, 1.0, outcome).endswith(word)
