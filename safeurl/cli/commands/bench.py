"""`safeurl bench`: where the time of scans goes on this installation, and what bounds it."""

import asyncio
import os
import re
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from safeurl.bootstrap import open_store, utc_now
from safeurl.cli.entry import read_settings
from safeurl.cli.view.phases import print_phases
from safeurl.cli.view.screen import Screen
from safeurl.errors import RequestError
from safeurl.model.attempt import Attempt
from safeurl.model.worker import WorkerHeartbeat
from safeurl.services.health import WORKER_SILENCE
from safeurl.services.phase_figures import PathFigures, path_figures
from safeurl.services.throughput import HostFacts, Throughput, throughput
from safeurl.settings import Settings

#: So many attempts are read in about a second, whatever the number of stored scans.
MAX_ATTEMPTS: Final = 10_000
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MEMORY: Final = Path("/proc/meminfo")


def bench(
    *,
    last: Annotated[
        int, typer.Option(min=1, max=MAX_ATTEMPTS, metavar="N", help="How many attempts at most.")
    ] = 1000,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only of scans submitted since then: 90s, 30m, 2h or 7d ago, or a time such as "
            "2026-01-31T12:00Z.",
        ),
    ] = None,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show how long each phase of the newest scans took, and what bounds the throughput.

    It reads what is stored and starts nothing. Warm sandboxes came from the pool, cold ones were
    started for their scan. docs/performance.md explains each phase.
    """
    now = utc_now()
    begin = None if since is None else begin_of(since, now)
    settings = read_settings()
    attempts, workers = asyncio.run(_read(settings, last, begin, now))
    figures = path_figures(attempts)
    found = throughput(attempts, figures, workers, _host(settings))
    screen = Screen()
    if as_document:
        screen.document(_document(figures, found), indent=2)
    else:
        print_phases(screen, figures, found)


async def _read(
    settings: Settings, last: int, since: datetime | None, now: datetime
) -> tuple[Sequence[Attempt], Sequence[WorkerHeartbeat]]:
    async with open_store(settings, required=True) as store:
        attempts = await store.recent_attempts(limit=last, since=since)
        return attempts, await store.workers(since=now - WORKER_SILENCE)


def begin_of(text: str, now: datetime) -> datetime:
    """Return the time of `--since`, which is its distance from now or a time; else raise."""
    try:
        if match := re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip()):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        at = datetime.fromisoformat(text.strip())
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RequestError(
            "`--since` is a number with s, m, h or d, such as 2h, or a time such as "
            "2026-01-31T12:00Z."
        ) from error
    if at > now:
        raise RequestError("`--since` lies in the future.")
    return at


def _host(settings: Settings) -> HostFacts:
    return HostFacts(
        name=socket.gethostname(),
        processors=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        available_memory_bytes=_available_memory(),
        concurrency=settings.worker_concurrency,
        # Docker's bridge has no pool.
        pool_size=settings.pool_size if settings.container_network == "none" else None,
    )


def _available_memory() -> int:
    match = re.search(r"^MemAvailable:\s*(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _document(figures: PathFigures, found: Throughput | None) -> Mapping[str, object]:
    phases: Mapping[str, object] = msgspec.to_builtins(figures)
    return {**phases, "throughput": msgspec.to_builtins(found)}
