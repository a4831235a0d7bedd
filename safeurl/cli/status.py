"""`safeurl status`: one scan, or how the whole system does."""

import asyncio
import json
import sys
from types import MappingProxyType
from typing import Annotated, Final

import typer
from rich.console import Console

from safeurl.bootstrap import open_service
from safeurl.cli.entry import EXIT_UNAVAILABLE, leave, read_settings
from safeurl.cli.health import print_health
from safeurl.cli.render import as_json, print_audit, print_view
from safeurl.health import Health
from safeurl.service import ScanView

_EXIT_CODES: Final = MappingProxyType({"healthy": 0, "degraded": 1, "unhealthy": EXIT_UNAVAILABLE})


def status(
    scan_id: Annotated[str | None, typer.Argument(metavar="ID", help="A scan's id.")] = None,
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show a scan, or without an ID how SafeURL does.

    Exit code without an ID: 0 healthy; 1 degraded: scans are taken, but wait, are slow or may
    fail; 75 unhealthy: scans are not taken, or there are some and no worker is there for them.
    """
    if scan_id is None:
        _show_health(as_document=as_document)
        return
    view = asyncio.run(_view(scan_id))
    if as_document:
        sys.stdout.write(as_json(view) + "\n")
        return
    console = Console()
    print_view(console, view)
    print_audit(console, view.audit)


def _show_health(*, as_document: bool) -> None:
    health = asyncio.run(_health())
    if as_document:
        from api.health import document  # noqa: PLC0415 - other commands start sooner without it

        facts = document(health).model_dump(mode="json", by_alias=True)
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        print_health(Console(), health)
    leave(_EXIT_CODES[health.status])


async def _view(scan_id: str) -> ScanView:
    async with open_service(read_settings(), required=True) as service:
        return await service.view(scan_id)


async def _health() -> Health:
    # Looking changes nothing: a database without a schema is said to have none.
    async with open_service(read_settings(), migrate=False) as service:
        return await service.health()
