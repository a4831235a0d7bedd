"""`safeurl doctor`: one line for each check, and an exit code for scripts."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from safeurl.cli.entry import leave, read_settings
from safeurl.cli.render import clean

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

    Exit code: 0 all pass, or only warnings; 1 something failed.
    """
    from worker.doctor.examination import examine, worst  # noqa: PLC0415 - loads what no other needs

    console = Console(highlight=False)
    settings = read_settings()

    def tell(finding: "Finding") -> None:
        if not as_document:
            console.print(line(finding), soft_wrap=True)

    findings = asyncio.run(examine(settings, tell))
    status = worst(findings)
    if as_document:
        document = {"status": status, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    leave(_EXIT_FAILED if status == "fail" else 0)


def line(finding: "Finding") -> Text:
    """Return the finding as one line; the advice comes last."""
    advice = f" — {clean(finding.advice, _MAX_TEXT)}" if finding.advice else ""
    return Text.assemble(
        (f"{finding.status:<5} ", _STYLES[finding.status]),
        (f"{finding.name:<{_NAME_WIDTH}} ", "bold"),
        clean(finding.detail, _MAX_TEXT),
        (advice, "italic"),
    )
