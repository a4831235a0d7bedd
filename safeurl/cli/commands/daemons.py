"""The commands that run until a signal: `worker`, `api`, `up` and `gateway`."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from safeurl.bootstrap import prepare, record_running, utc_now
from safeurl.cli.entry import Loaded, start_logging
from safeurl.cli.view.screen import Screen
from safeurl.cli.view.streams import OutputError, silence
from safeurl.in_force import describe
from safeurl.settings import Settings

_log = logging.getLogger("safeurl.daemon")


def worker(
    *,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Scans at a time, over WORKER_CONCURRENCY."),
    ] = None,
) -> None:
    """Run the worker until SIGTERM.

    It takes scans off the queue and runs each in a sandbox of its own.
    """
    from worker.daemon import run_worker  # noqa: PLC0415 - other commands start sooner without it

    loaded = start_logging()
    settings = with_concurrency(loaded.settings, concurrency)
    with _announced("worker", loaded, settings) as on_failing:
        run_worker(settings, on_failing=on_failing)


def api() -> None:
    """Run the HTTP API until SIGTERM.

    Where ENABLE_WORKER is true the worker runs beside it.
    """
    from api.app import serve  # noqa: PLC0415 - other commands start sooner without it

    loaded = start_logging()
    if loaded.settings.enable_worker:
        _run_all("api", loaded)
    else:
        serve(loaded.settings, announce)


def up() -> None:
    """Run everything: worker, API, queue, database.

    Queue and database are embedded where REDIS_HOST and TURSO_CONNECTION_URL are empty.
    """
    _run_all("up", start_logging())


def gateway() -> None:
    """Run the egress gateway until SIGTERM.

    It makes every connection of the sandboxes on this host, and decides about each. Where none
    runs, the worker starts its own.
    """
    from worker.egress.gateway.server import run_gateway  # noqa: PLC0415 - loads what no other needs

    run_gateway(start_logging().settings)


def _run_all(command: str, loaded: Loaded) -> None:
    from api.app import listen, serve_on  # noqa: PLC0415 - other commands start sooner without it
    from worker.daemon import run_worker  # noqa: PLC0415 - the same
    from worker.runtime.supervisor import Role  # noqa: PLC0415 - the same

    settings = loaded.settings
    # Opened before the fork, so that a busy port is an error here and a restart keeps the address.
    with listen(settings) as listener, _announced(command, loaded, settings) as on_failing:
        api = Role("api", lambda: serve_on(listener, settings, announce))
        run_worker(settings, more=(api,), on_failing=on_failing)


@contextmanager
def _announced(
    command: str, loaded: Loaded, settings: Settings
) -> Iterator[Callable[[tuple[str, ...]], None]]:
    """Record for `status` and `doctor` which settings are in force, and which processes fail.

    Yield a function that records the names of the processes that fail at each start.
    """
    prepare(settings)
    file = str(loaded.file or "")
    running = describe(settings, command=command, pid=os.getpid(), file=file)
    running = replace(running, started_s=int(utc_now().timestamp()))
    with record_running(settings, running) as update:
        yield lambda names: update(replace(running, failing=names))


def with_concurrency(settings: Settings, concurrency: int | None) -> Settings:
    """Return the settings with another number of scans at a time."""
    if concurrency is None:
        return settings
    return settings.model_copy(update={"worker_concurrency": concurrency})


def announce(line: str) -> None:
    """Print a line for the process that started us; a daemon continues if the output is closed."""
    screen = Screen()
    try:
        screen.own_line(line)
        screen.flush()
    except (OSError, OutputError, SystemExit) as error:  # rich raises SystemExit for a closed pipe
        silence(sys.stdout)  # else the flush at exit would write the line again, and fail
        _log.warning("daemon.output_lost line=%r error=%r", line, error)
