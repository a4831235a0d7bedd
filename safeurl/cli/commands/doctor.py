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
    """Check the installation, and try the isolation from real sandboxes.

    Where a worker runs over the state folder, the settings that it runs with are examined.

    Exit code: 0 all pass, or only warnings; 1 something failed.
    """
    from worker.doctor.examination import examine, worst  # noqa: PLC0415 - loads what no other needs
    from worker.doctor.in_force import choose  # noqa: PLC0415 - the same

    screen = Screen()
    loaded = load_settings()
    settings, chosen = choose(loaded.settings, loaded.source)

    def tell(finding: "Finding") -> None:
        if not as_document:
            screen.line(*line(finding))

    findings = asyncio.run(examine(settings, tell, before=[chosen]))
    status = worst(findings)
    if as_document:
        document = {"status": status, "findings": [asdict(finding) for finding in findings]}
        screen.document(document, indent=2)
    leave(_EXIT_FAILED if status == "fail" else 0)


def line(finding: "Finding") -> tuple[Cell, ...]:
    """Return the parts of the finding's line; the advice comes last."""
    advice = f" — {clean(finding.advice, _MAX_TEXT)}" if finding.advice else ""
    return (
        (f"{finding.status:<5} ", _STYLES[finding.status]),
        (f"{finding.name:<{_NAME_WIDTH}} ", "bold"),
        clean(finding.detail, _MAX_TEXT),
        (advice, "italic"),
    )
