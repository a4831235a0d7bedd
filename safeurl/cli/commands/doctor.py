"""`safeurl doctor`: one line for each check, and an exit code for scripts."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from safeurl.cli.entry import leave, load_settings
from safeurl.cli.view.screen import Cell, Screen
from safeurl.printable import clean

if TYPE_CHECKING:
    from worker.doctor.finding import Finding

_EXIT_FAILED = 1
_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}
_NAME_WIDTH = 26
_MAX_TEXT = 600


def doctor(
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check the installation, and test the isolation from real sandboxes.

    If a worker uses the state folder, its settings are checked instead of this command's.

    Exit code: 0 all checks passed, or only warnings; 1 a check failed.
    """
    from worker.doctor.all_checks import overall_status, run_checks  # noqa: PLC0415 - imports modules that no other command needs
    from worker.doctor.in_force import choose_settings  # noqa: PLC0415 - the same

    screen = Screen()
    loaded = load_settings()
    settings, chosen = choose_settings(loaded.settings, loaded.source)

    def report(finding: "Finding") -> None:
        if not as_document:
            screen.line(*line(finding))

    findings = asyncio.run(run_checks(settings, report, before=[chosen]))
    status = overall_status(findings)
    if as_document:
        document = {"status": status, "findings": [asdict(finding) for finding in findings]}
        screen.document(document, indent=2)
    leave(_EXIT_FAILED if status == "fail" else 0)


def line(finding: "Finding") -> tuple[Cell, ...]:
    """Return the parts of a finding's line; the advice is the last."""
    advice = f" — {clean(finding.advice, _MAX_TEXT)}" if finding.advice else ""
    return (
        (f"{finding.status:<5} ", _STYLES[finding.status]),
        (f"{finding.name:<{_NAME_WIDTH}} ", "bold"),
        clean(finding.detail, _MAX_TEXT),
        (advice, "italic"),
    )
