"""`safeurl cancel`: cancels scans that have not ended yet."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from safeurl.bootstrap import open_service
from safeurl.cli.entry import EXIT_USAGE, complain, leave, read_settings
from safeurl.cli.view.screen import Screen
from safeurl.errors import RequestError
from safeurl.settings import Settings


def cancel(
    scan_ids: Annotated[list[str], typer.Argument(metavar="ID", help="The scans' ids.")],
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Cancel scans that have not ended.

    Each ends FAILED `cancelled`, and its sandbox is removed within two seconds. Prints the ids.
    Exit code: 0 all are cancelled, 2 for one that is unknown or has ended otherwise.
    """
    leave(asyncio.run(_cancel(read_settings(), scan_ids, as_document=as_document)))


async def _cancel(settings: Settings, scan_ids: Sequence[str], *, as_document: bool) -> int:
    """Cancel each scan; an error of one does not prevent the others."""
    code = 0
    screen = Screen()
    async with open_service(settings, required=True) as service:
        for scan_id in scan_ids:
            try:
                scan = await service.cancel(scan_id, actor="cli")
            except RequestError as error:
                complain(str(error))
                code = EXIT_USAGE
                continue
            if as_document:
                screen.document({"id": scan.id, "state": scan.state, "outcome": scan.outcome})
            else:
                screen.line(scan.id)
    return code
