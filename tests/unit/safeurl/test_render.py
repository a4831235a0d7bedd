"""What hostile text looks like in a terminal."""

from io import StringIO

import pytest
from rich.console import Console

from safeurl.cli.render import clean, print_audit, print_list, safe_url
from safeurl.scan import AuditEntry
from safeurl.state import State
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


def test_tables_fit_a_terminal_of_eighty_columns() -> None:
    """Ids, states and moves stay whole, and the facts of a sandbox are a few words."""
    console = Console(file=StringIO(), force_terminal=True, width=80, color_system=None)
    print_list(console, [make_scan()])
    print_audit(console, TRAIL)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    for whole in (
        make_scan().id[:8],
        "QUEUED",
        "ANALYZING → COMPLETED",
        "worker-1.example.org:12345",
    ):
        assert whole in shown
    assert "status 0 after" in shown
    assert len(shown.splitlines()) <= 8


def test_a_pipe_gets_everything_between_tabs() -> None:
    """Scripts see each column whole, whatever the width."""
    console = Console(file=StringIO(), width=20)
    print_audit(console, TRAIL)
    assert isinstance(console.file, StringIO)
    rows = [line.split("\t") for line in console.file.getvalue().splitlines()]
    assert rows[0] == ["time", "event", "move", "version", "actor", "detail"]
    assert rows[1][5] == TRAIL[0].detail
