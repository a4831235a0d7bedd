"""How the attempts of a scan are shown to people and to programs."""

from dataclasses import fields, replace
from datetime import timedelta
from io import StringIO

from rich.console import Console

from safeurl.cli.view.attempts import print_attempts, sandbox_words
from safeurl.cli.view.render import print_audit, view_document
from safeurl.cli.view.screen import Screen
from safeurl.model.attempt import Attempt
from safeurl.model.scan import AuditEntry
from safeurl.model.view import ScanView
from safeurl.state import Outcome
from tests.support.builders import NOW, make_scan

_FIRST = Attempt(
    scan_id=make_scan().id,
    attempt=1,
    owner="host-a/0a1b2c3d:4821",
    started_at=NOW,
    ended_at=NOW + timedelta(seconds=2.5),
    outcome=Outcome.LEASE_LOST,
    counts_as_failure=True,
    term=3,
    container_id="0123456789abcdef",
    start_kind="cold",
    run_ms=812.4,
    bytes_in=20480,
    peak_memory_bytes=2**26,
    exit_code=137,
    oom_killed=True,
    push_ms=3.4,
    fetch_ms=1234.5,
)
_SECOND = Attempt(scan_id=_FIRST.scan_id, attempt=2, owner="w2", started_at=NOW)


def _shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_how_each_attempt_ended_and_what_is_known() -> None:
    """Of a sandbox only what there is; an attempt that runs says so."""
    console = Console(file=StringIO(), force_terminal=True, width=300, color_system=None)
    print_attempts(Screen(console), [_FIRST, _SECOND])
    _, first, second = _shown(console).splitlines()
    assert "lease_lost after 2.50 s, counts as a failure" in first
    known = (
        "fetch 1,234 ms, container id 0123456789ab, start kind cold, run 812 ms, bytes in 20,480"
    )
    assert f"{known}, peak memory bytes 67,108,864, exit code 137, oom killed" in first
    assert first.rstrip().endswith("oom killed; phases in ms: push 3, fetch 1,234")
    assert second.split() == ["2", "03:04:05Z", "running", "w2"]
    narrow = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    print_attempts(Screen(narrow), [_FIRST])
    assert max(map(len, _shown(narrow).splitlines()[:2])) <= 80
    assert "exit code 137" in _shown(narrow)


def test_a_pipe_gets_every_field_by_its_name() -> None:
    """Scripts find a column by its head; an unknown value is empty."""
    console = Console(file=StringIO(), width=20)
    print_attempts(Screen(console), [_FIRST, _SECOND])
    head, first, second = [line.split("\t") for line in _shown(console).splitlines()]
    assert head == [field.name for field in fields(Attempt) if field.name != "scan_id"]
    row = dict(zip(head, first, strict=True))
    assert (row["ended_at"], row["outcome"]) == ("2026-01-02T03:04:08.178901Z", "lease_lost")
    assert (row["counts_as_failure"], row["oom_killed"]) == ("true", "true")
    assert (row["run_ms"], row["create_ms"]) == ("812.4", "")
    assert dict(zip(head, second, strict=True))["ended_at"] == ""


def test_a_scan_without_attempts_prints_nothing() -> None:
    """It waits."""
    console = Console(file=StringIO(), width=80)
    print_attempts(Screen(console), [])
    assert _shown(console) == ""


def test_the_line_of_a_sandbox_is_told_from_its_attempt() -> None:
    """The text of the entry has no effect; without a row, the text is shown unchanged."""
    entry = AuditEntry(
        id=1,
        scan_id="s",
        event="sandbox",
        from_state=None,
        to_state=None,
        version=1,
        attempt=1,
        actor="w",
        outcome=None,
        detail='{"exit_code": 0, "ms": {"run": 1.0}}',
        at=NOW,
    )
    for attempts, wanted in (
        ([_FIRST], sandbox_words(_FIRST)),
        ([_SECOND], entry.detail),
        ([replace(_SECOND, attempt=1)], entry.detail),
    ):
        console = Console(file=StringIO(), force_terminal=True, width=400, color_system=None)
        print_audit(Screen(console), [entry], attempts)
        assert wanted
        assert wanted in _shown(console)


def test_a_program_gets_the_attempts_with_the_scan() -> None:
    """Every field of the model, times as text."""
    view = ScanView(
        scan=make_scan(),
        result=None,
        artefacts=(),
        evidence_json=None,
        audit=(),
        attempts=(_FIRST, _SECOND),
    )
    document = view_document(view)["attempts"]
    assert isinstance(document, tuple)
    assert [set(each) for each in document] == [{field.name for field in fields(Attempt)}] * 2
    assert document[0]["started_at"] == "2026-01-02T03:04:05.678901Z"
    assert document[1]["ended_at"] is None
