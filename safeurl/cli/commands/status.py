"""`safeurl status`: shows one scan, or the health of the whole system."""

import asyncio
from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Final

import typer

from safeurl.bootstrap import open_service, running_system
from safeurl.cli.entry import EXIT_UNAVAILABLE, Loaded, leave, load_settings, read_settings
from safeurl.cli.view.attempts import print_attempts
from safeurl.cli.view.health import print_health
from safeurl.cli.view.render import print_audit, print_view, view_document
from safeurl.cli.view.screen import Screen
from safeurl.in_force import differences
from safeurl.model.view import ScanView
from safeurl.services.health import Health
from safeurl.settings import Settings

_EXIT_CODES: Final = MappingProxyType({"healthy": 0, "degraded": 1, "unhealthy": EXIT_UNAVAILABLE})


def status(
    scan_id: Annotated[str | None, typer.Argument(metavar="ID", help="A scan's id.")] = None,
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show a scan, or without an ID the health of SafeURL.

    Exit code without an ID: 0 healthy; 1 degraded: scans are taken, but wait, are slow or may
    fail; 75 unhealthy: scans are not taken, or there are scans and no worker for them.
    """
    if scan_id is None:
        _show_health(as_document=as_document)
        return
    view = asyncio.run(_view(scan_id))
    screen = Screen()
    if as_document:
        screen.document(view_document(view), indent=2)
        return
    print_view(screen, view)
    print_attempts(screen, view.attempts)
    print_audit(screen, view.audit, view.attempts)


def _show_health(*, as_document: bool) -> None:
    loaded = load_settings()
    health = asyncio.run(_health(loaded.settings))
    if as_document:
        from api.native.health import document  # noqa: PLC0415 - other commands start sooner without it

        facts = document(health).model_dump(mode="json", by_alias=True)
        Screen().document(facts, indent=2)
    else:
        print_health(Screen(), health, _sources(loaded))
    leave(_EXIT_CODES[health.status])


async def _view(scan_id: str) -> ScanView:
    async with open_service(read_settings(), required=True) as service:
        return await service.view(scan_id)


async def _health(settings: Settings) -> Health:
    # Reading the health changes nothing: a missing schema is reported, not created.
    async with open_service(settings, migrate=False) as service:
        return await service.health()


def _sources(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Return the sources of this command's settings and of the running worker's."""
    yield "settings", f"from {loaded.source}"
    try:
        running = running_system(loaded.settings)
    except (OSError, ValueError):
        return  # the record of another user; `safeurl doctor` says more
    if running is not None:
        source = running.file or "the environment alone, no file"
        others = [each.name for each in differences(loaded.settings, running)]
        differ = f"; not the same here: {', '.join(others)}" if others else ""
        words = f"`safeurl {running.command}` (process {running.pid}), settings from {source}"
        yield "running", f"{words}{differ}"
