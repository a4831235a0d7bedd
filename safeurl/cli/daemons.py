"""The commands that stay: `worker`, `api` and `up`."""

import logging
import sys
from typing import Annotated

import typer

from safeurl.cli.entry import start_logging
from safeurl.cli.output import OutputError, silence
from safeurl.cli.screen import Screen
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

    settings = start_logging()
    run_worker(with_concurrency(settings, concurrency))


def api() -> None:
    """Run the HTTP API until SIGTERM.

    Where ENABLE_WORKER is true the worker runs beside it.
    """
    from api.app import serve  # noqa: PLC0415 - other commands start sooner without it

    settings = start_logging()
    if settings.enable_worker:
        _run_all(settings)
    else:
        serve(settings, announce)


def up() -> None:
    """Run everything: worker, API, queue, database.

    Queue and database are embedded where REDIS_HOST and TURSO_CONNECTION_URL are empty.
    """
    settings = start_logging()
    _run_all(settings)


def gateway() -> None:
    """Run the egress gateway until SIGTERM.

    It makes every connection of the sandboxes on this host, and decides about each. Where none
    runs, the worker starts its own.
    """
    from worker.egress.server import run_gateway  # noqa: PLC0415 - loads what no other needs

    settings = start_logging()
    run_gateway(settings)


def _run_all(settings: Settings) -> None:
    from api.app import listen, serve_on  # noqa: PLC0415 - other commands start sooner without it
    from worker.daemon import run_worker  # noqa: PLC0415 - the same
    from worker.supervisor import Role  # noqa: PLC0415 - the same

    # Opened before the fork, so that a busy port is an error here and a restart keeps the address.
    with listen(settings) as listener:
        run_worker(settings, more=(Role("api", lambda: serve_on(listener, settings, announce)),))


def with_concurrency(settings: Settings, concurrency: int | None) -> Settings:
    """Return the settings with another number of scans at a time."""
    if concurrency is None:
        return settings
    return settings.model_copy(update={"worker_concurrency": concurrency})


def announce(line: str) -> None:
    """Tell whoever started us through a pipe; a daemon serves also where nobody can be told."""
    screen = Screen()
    try:
        screen.line(line)
        screen.flush()
    except (OSError, OutputError, SystemExit) as error:  # rich's word for a closed pipe
        silence(sys.stdout)  # or the line would be tried again, and fail, when we end
        _log.warning("daemon.output_lost line=%r error=%r", line, error)
