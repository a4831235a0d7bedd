"""`safeurl audit`: verify the audit trail, show the part of one scan, export the whole."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from safeurl.bootstrap import open_store
from safeurl.cli.commands.audit_export import export
from safeurl.cli.entry import leave, read_settings
from safeurl.cli.view.render import print_audit, stamp
from safeurl.cli.view.screen import Screen
from safeurl.defang import safe_text
from safeurl.errors import RequestError, ScanNotFoundError
from safeurl.model.attempt import Attempt
from safeurl.model.scan import AuditEntry
from safeurl.printable import counted
from safeurl.services.audit_verify import Anchor, OnProgress, Verification, verify

audit_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Verify, show and export the audit trail.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_EXIT_FAULTS = 1
_MAX_TEXT = 600
#: The width for the whole table; a narrower terminal gets the table of `status`.
_WIDE = 140
_NAMES = ("time", "event", "move", "attempt", "actor", "outcome", "detail")


@audit_app.command(name="verify")
def verify_trail(
    *,
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NUMBER:SHA256",
            help="A seal that you kept in another place; it must be unchanged. May be repeated.",
        ),
    ] = None,
    as_document: Json = False,
) -> None:
    """Check the schema, every audit row, every seal and the trail of every scan.

    Names each row or seal that was edited, deleted, moved or inserted, each table, index or
    trigger that differs from SafeURL's, and each rule of a table that rows break.
    The owner of the database can compute the whole chain of seals anew. Only an anchor, which is
    a seal that you kept in another place, shows this: keep the newest seal, which this command
    prints, or a line of a worker's log. Exit code: 0 nothing is wrong; 1 something is wrong.
    """
    kept = [_anchor(text) for text in anchors or []]
    found = asyncio.run(_verify(kept))
    screen = Screen()
    if as_document:
        screen.document(_verification(found), indent=2)
    else:
        _print(screen, found)
    leave(_EXIT_FAULTS if found.fault_count else 0)


def _anchor(text: str) -> Anchor:
    match = re.fullmatch(r"([0-9]{1,18}):([0-9a-fA-F]{64})", text.strip())
    if match is None:
        raise RequestError(
            "An anchor is the number of a seal, a colon and its SHA-256 of 64 hex digits."
        )
    return Anchor(number=int(match[1]), sha256=match[2].lower())


async def _verify(anchors: Sequence[Anchor]) -> Verification:
    # Not `required`, which reads a table: the verification compares the schema first.
    async with open_store(read_settings(), migrate=False) as store:
        with _progress() as on_progress:
            return await verify(store, anchors=anchors, on_progress=on_progress)


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """Show the progress of the verification on a terminal."""
    with Screen(stderr=True).progress() as show:
        show("reading the audit trail …")
        yield lambda rows, seals, scans: show(_progress_text(rows, seals, scans))


def _progress_text(rows: int, seals: int, scans: int) -> str:
    return ", ".join((counted(rows, "row"), counted(seals, "seal"), counted(scans, "scan")))


def _print(screen: Screen, found: Verification) -> None:
    for fault in found.faults:
        screen.line((safe_text(fault, _MAX_TEXT), "red"))
    more = found.fault_count - len(found.faults)
    if more:
        screen.line((f"And {more:,} more.", "red"))
    screen.line(
        f"Seen: {counted(found.rows, 'row')} ({found.unsealed:,} of them not sealed yet), "
        f"{counted(found.seals, 'seal')}, {counted(found.scans, 'scan')}.",
    )
    if found.fault_count:
        faults = counted(found.fault_count, "fault")
        screen.line(f"The audit trail is not as it was written: {faults}.")
        return
    screen.line(("Nothing is wrong.", "green"))
    if found.head:
        screen.line(f"Newest seal, to be kept in another place: {_named(found.head)}")


def _named(anchor: Anchor) -> str:
    return f"{anchor.number}:{anchor.sha256}"


def _verification(found: Verification) -> Mapping[str, object]:
    return {**asdict(found), "head": _named(found.head) if found.head else None}


@audit_app.command()
def show(
    scan_id: Annotated[str, typer.Argument(metavar="ID", help="The scan's id.")],
    *,
    as_document: Json = False,
) -> None:
    """Show the audit trail of a scan."""
    trail, attempts = asyncio.run(_trail(scan_id))
    if as_document:
        Screen().document({"id": scan_id, "audit": msgspec.to_builtins(trail)}, indent=2)
    else:
        _print_trail(Screen(), trail, attempts)


async def _trail(scan_id: str) -> tuple[list[AuditEntry], list[Attempt]]:
    async with open_store(read_settings(), required=True) as store:
        trail = await store.audit(scan_id)
        # The trail is read first, because it outlives its scan.
        if not trail and await store.get(scan_id) is None:
            raise ScanNotFoundError(scan_id)
        return trail, await store.attempts(scan_id)


def _print_trail(screen: Screen, trail: Sequence[AuditEntry], attempts: Sequence[Attempt]) -> None:
    if screen.is_terminal and screen.width < _WIDE:
        print_audit(screen, trail, attempts)
        return
    rows = [
        (
            stamp(entry.at),
            safe_text(entry.event),
            f"{entry.from_state or ''} → {entry.to_state}".lstrip() if entry.to_state else "",
            str(entry.attempt),
            safe_text(entry.actor),
            entry.outcome or "",
            safe_text(entry.detail or "", _MAX_TEXT),
        )
        for entry in trail
    ]
    if screen.is_terminal:
        screen.table(_NAMES, rows)
    else:
        screen.tabbed([_NAMES, *rows])


@audit_app.command(name="export")
def export_trail(
    *,
    after: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="ROW_ID",
            help="Begin after this row. To continue an earlier export, give the last_id of its "
            "last seal.",
        ),
    ] = 0,
) -> None:
    """Print all audit rows and seals as JSON lines.

    Rows come in order of id, each seal after the last row that it covers; "kind" says which.
    """
    screen = Screen()

    async def run() -> None:
        async with (
            open_store(read_settings(), required=True) as store,
            aclosing(export(store, after=after)) as lines,
        ):
            async for line in lines:
                screen.document(line)

    asyncio.run(run())
