"""`safeurl backup` and `safeurl restore`: the embedded installation in one file, and back."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from safeurl.bootstrap import make_backup_taker, make_restorer
from safeurl.cli.entry import complain, leave, read_settings
from safeurl.cli.view.render import stamp
from safeurl.cli.view.screen import Screen
from safeurl.errors import RequestError
from safeurl.model.records.backup import BackupSummary, Progress, RestoreSummary
from safeurl.printable import clean, counted
from safeurl.settings import Settings

#: The backup was written, but artefacts that the database names are missing or damaged.
_EXIT_INCOMPLETE = 1
_PROGRESS_TEXTS = {
    ("backup", "database"): "copying the database",
    ("backup", "artefacts"): "copying the artefacts",
    ("restore", "database"): "reading the database",
    ("restore", "artefacts"): "reading the artefacts",
}
_NO_BACKUP = (
    "The database is on the server of TURSO_CONNECTION_URL, not in the state folder, so the "
    "server's tools save it: `turso db export NAME` for Turso; for your own sqld "
    "--enable-bottomless-replication, or a copy of its data folder while it is stopped. "
    "Copy {artefacts} after that, not before."
)
_NO_RESTORE = (
    "The database is on the server of TURSO_CONNECTION_URL, not in the state folder. A backup is "
    "restored to an embedded one: leave TURSO_CONNECTION_URL empty."
)


def _file_path(text: str) -> Path:
    """Refuse `-`, which means standard input in other programs; return the path of other text."""
    if text == "-":
        raise RequestError(
            "FILE is the name of a file: standard input and output are not used. "
            "Write `./-` for a file of this name."
        )
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The backup.", show_default=False, path_type=str, callback=_file_path
    ),
]


def backup(
    file: File,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_document: Json = False,
) -> None:
    """Save the embedded database and all artefacts.

    FILE becomes a tar file with their present state; workers and API continue to run.
    Exit code: 0 everything is saved, 1 some artefacts are missing or damaged, the rest is saved.
    """
    settings = read_settings()
    _require_embedded(settings, _NO_BACKUP.format(artefacts=settings.artefact_dir))
    target = file.expanduser().absolute()
    with _bar("backup") as bar:
        taken = make_backup_taker(settings, bar).take(target, replace=force)
    _print(_backup_facts(target, taken), as_document=as_document)
    if taken.missing:
        complain(
            f"{counted(len(taken.missing), 'artefact is', 'artefacts are')} missing or damaged and "
            f"not in the backup, the first is {taken.missing[0]}. Everything else is saved."
        )
        leave(_EXIT_INCOMPLETE)


def restore(
    file: File,
    *,
    force: Annotated[bool, typer.Option("--force", help="Rename an existing database.")] = False,
    as_document: Json = False,
) -> None:
    """Restore what `safeurl backup` saved.

    Stop worker and API first. FILE is checked completely before anything is installed.
    With --force, an existing database is kept under another name.
    """
    settings = read_settings()
    _require_embedded(settings, _NO_RESTORE)
    source = file.expanduser().absolute()
    with _bar("restore") as bar:
        restored = make_restorer(settings, bar).restore(source, replace=force)
    _print(_restore_facts(source, restored), as_document=as_document)
    for sentence in () if as_document else _next_steps(restored):
        Screen().line(sentence)


def _require_embedded(settings: Settings, sentence: str) -> None:
    if settings.turso_connection_url:
        raise RequestError(sentence)


@contextmanager
def _bar(command: str) -> Iterator[Progress]:
    """Show progress on a terminal, and let SIGTERM and SIGHUP clean up like Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with Screen(stderr=True).progress() as show:
        yield lambda what, done, total: show(
            f"{_PROGRESS_TEXTS[command, what]} … {100 * done // max(total, 1)} %"
        )


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _backup_facts(file: Path, taken: BackupSummary) -> dict[str, str | int | list[str]]:
    return {
        "backup": str(file),
        "created": stamp(taken.manifest.created_at),
        "bytes": taken.size_bytes,
        "scans": taken.inventory.scans,
        "queued": taken.inventory.queued,
        "in_progress": taken.inventory.in_progress,
        "artefacts": taken.inventory.artefacts - len(taken.missing),
        "missing_artefacts": list(taken.missing),
    }


def _restore_facts(file: Path, restored: RestoreSummary) -> dict[str, str | int | None]:
    inventory, seal = restored.unpacked.inventory, restored.unpacked.seal
    return {
        "restored": str(file),
        "created": stamp(restored.unpacked.manifest.created_at),
        "safeurl": clean(restored.unpacked.manifest.safeurl),
        "scans": inventory.scans,
        "queued": inventory.queued,
        "in_progress": inventory.in_progress,
        "artefacts": seal.artefacts,
        "missing_artefacts": seal.missing,
        "old_database": str(restored.kept) if restored.kept else None,
    }


def _next_steps(restored: RestoreSummary) -> Iterator[str]:
    """Return what happens next to the scans that were not final."""
    inventory = restored.unpacked.inventory
    if inventory.queued:
        runs = counted(inventory.queued, "queued scan runs", "queued scans run")
        yield f"{runs} as soon as a worker is started."
    if inventory.in_progress:
        yield counted(
            inventory.in_progress,
            "scan was in progress: a worker continues it after its lease expires.",
            "scans were in progress: a worker continues them after their leases expire.",
        )


def _print(facts: Mapping[str, object], *, as_document: bool) -> None:
    screen = Screen()
    if as_document:
        screen.document(facts, indent=2)
        return
    for name, value in facts.items():
        shown = len(value) if isinstance(value, list) else value
        if shown is not None:
            text = f"{shown:,}" if isinstance(shown, int) else str(shown)
            screen.line(f"{name.replace('_', ' ')}: {text}")
