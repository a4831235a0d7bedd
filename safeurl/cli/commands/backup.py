"""`safeurl backup` and `safeurl restore`: the embedded installation in one file, and back."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from safeurl import __version__
from safeurl.adapters.backup import BackupTaker, Place, Restored, Restorer, Taken
from safeurl.bootstrap import utc_now
from safeurl.cli.entry import complain, leave, read_settings
from safeurl.cli.view.render import stamp
from safeurl.cli.view.screen import Screen
from safeurl.errors import RequestError
from safeurl.printable import clean, counted
from safeurl.settings import Settings

#: The backup was written, and something that the database names was not there to be saved.
_EXIT_INCOMPLETE = 1
_WORDS = {
    ("backup", "database"): "copying the database",
    ("backup", "artefacts"): "copying the artefacts",
    ("restore", "database"): "reading the database",
    ("restore", "artefacts"): "reading the artefacts",
}
_NO_BACKUP = (
    "The database is on the server of TURSO_CONNECTION_URL, not in the state folder, so its own "
    "tools save it: `turso db export NAME` for Turso; for a sqld of your own "
    "--enable-bottomless-replication, or a copy of its data folder while it is stopped. "
    "Copy {artefacts} after that, not before."
)
_NO_RESTORE = (
    "The database is on the server of TURSO_CONNECTION_URL, not in the state folder. A backup is "
    "restored to an embedded one: leave TURSO_CONNECTION_URL empty."
)


def _named(text: str) -> Path:
    """Refuse what is no file's name elsewhere; asked of the text, as a path `./-` is `-` too."""
    if text == "-":
        raise RequestError(
            "FILE is the name of a file: standard input and output are not used. "
            "A file of this name is `./-`."
        )
    return Path(text)


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The backup.", show_default=False, path_type=str, callback=_named
    ),
]


def backup(
    file: File,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    as_document: Json = False,
) -> None:
    """Save the embedded database and all artefacts.

    FILE becomes a tar file that holds both as they are at this moment; workers and API go on.
    Exit code: 0 all is saved, 1 saved but for artefacts that are gone or damaged.
    """
    settings = read_settings()
    _require_embedded(settings, _NO_BACKUP.format(artefacts=settings.artefact_dir))
    target = file.expanduser().absolute()
    with _bar("backup") as bar:
        taker = BackupTaker(_place(settings), at=utc_now(), version=__version__, progress=bar)
        taken = taker.take(target, replace=force)
    _print(_backup_facts(target, taken), as_document=as_document)
    if taken.missing:
        complain(
            f"{counted(len(taken.missing), 'artefact is', 'artefacts are')} gone or damaged and "
            f"not in the backup, the first is {taken.missing[0]}. All the rest is saved."
        )
        leave(_EXIT_INCOMPLETE)


def restore(
    file: File,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Put a database that is there aside.")
    ] = False,
    as_document: Json = False,
) -> None:
    """Restore what `safeurl backup` saved.

    Stop worker and API first. FILE is checked from end to end before anything is put in place.
    With --force a database that is there is kept under another name.
    """
    settings = read_settings()
    _require_embedded(settings, _NO_RESTORE)
    source = file.expanduser().absolute()
    with _bar("restore") as bar:
        restorer = Restorer(_place(settings), at=utc_now(), progress=bar)
        restored = restorer.restore(source, replace=force)
    _print(_restore_facts(source, restored), as_document=as_document)
    for sentence in () if as_document else _outlook(restored):
        Screen().line(sentence)


def _require_embedded(settings: Settings, sentence: str) -> None:
    if settings.turso_connection_url:
        raise RequestError(sentence)


def _place(settings: Settings) -> Place:
    return Place(
        folder=settings.state_dir,
        database=settings.database_path,
        artefacts=settings.artefact_dir,
        valkey_lock=settings.valkey_dir / "lock",
    )


#: What is copied or read, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@contextmanager
def _bar(command: str) -> Iterator[Progress]:
    """Show progress to a person, and let SIGTERM and SIGHUP clean up as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with Screen(stderr=True).progress() as show:
        yield lambda what, done, total: show(
            f"{_WORDS[command, what]} … {100 * done // max(total, 1)} %"
        )


def _stop(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _backup_facts(file: Path, taken: Taken) -> dict[str, str | int | list[str]]:
    return {
        "backup": str(file),
        "created": stamp(taken.manifest.created_at),
        "bytes": taken.size_bytes,
        "scans": taken.census.scans,
        "queued": taken.census.queued,
        "in_progress": taken.census.in_progress,
        "artefacts": taken.census.artefacts - len(taken.missing),
        "missing_artefacts": list(taken.missing),
    }


def _restore_facts(file: Path, restored: Restored) -> dict[str, str | int | None]:
    census, seal = restored.unpacked.census, restored.unpacked.seal
    return {
        "restored": str(file),
        "created": stamp(restored.unpacked.manifest.created_at),
        "safeurl": clean(restored.unpacked.manifest.safeurl),
        "scans": census.scans,
        "queued": census.queued,
        "in_progress": census.in_progress,
        "artefacts": seal.artefacts,
        "missing_artefacts": seal.missing,
        "old_database": str(restored.kept) if restored.kept else None,
    }


def _outlook(restored: Restored) -> Iterator[str]:
    """Say what becomes of the scans that were not final."""
    census = restored.unpacked.census
    if census.queued:
        runs = counted(census.queued, "queued scan runs", "queued scans run")
        yield f"{runs} once a worker is started."
    if census.in_progress:
        yield counted(
            census.in_progress,
            "scan was in progress: a worker takes it back once its lease is out, and it goes on.",
            "scans were in progress: a worker takes them back once their leases are out, and they "
            "go on.",
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
