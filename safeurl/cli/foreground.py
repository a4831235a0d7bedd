"""`safeurl scan`: the whole system for one scan, in the foreground."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from safeurl.bootstrap import make_policy, open_service
from safeurl.cli.daemons import with_concurrency
from safeurl.cli.entry import EXIT_UNAVAILABLE, complain, leave, log_to, read_settings
from safeurl.cli.render import as_json, print_view, read_verdict
from safeurl.cli.watch import is_ended, is_ended_or_put_off, watch
from safeurl.service import ScanView, Service
from safeurl.settings import Settings
from safeurl.state import State
from safeurl.url import parse
from safeurl.verdict import Judgement

EXIT_NOT_CONCLUDED = 30
_QUEUE_POLLS = 100
_QUEUE_POLL_S = 0.05
_EXIT_CODES = {
    Judgement.BENIGN: 0,
    Judgement.SUSPICIOUS: 10,
    Judgement.MALICIOUS: 20,
    Judgement.INCONCLUSIVE: EXIT_NOT_CONCLUDED,
}


def scan(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to open; may be defanged.")],
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Scan one URL here and now.

    Exit code: 0 benign, 10 suspicious, 20 malicious, 30 not concluded.
    """
    settings = read_settings()
    parse(url, make_policy(settings))  # refused before anything is started
    with _worker_beside(settings):
        view = asyncio.run(_scan(settings, url))
    if as_document:
        sys.stdout.write(as_json(view) + "\n")
    else:
        print_view(Console(), view)
    if not is_ended(view.scan):
        complain(
            f"{view.scan.detail} The scan stays queued and is tried again by `safeurl worker`."
        )
        leave(EXIT_UNAVAILABLE)
    leave(verdict_code(view))


async def _scan(settings: Settings, url: str) -> ScanView:
    async with open_service(settings) as service:
        await _until_queue_answers(service)
        submission = await service.submit([url], source="cli")
        scan_id = submission.scans[0].id
        await watch(service, scan_id, Console(stderr=True), ended=is_ended_or_put_off)
        return await service.view(scan_id)


async def _until_queue_answers(service: Service) -> None:
    """Give the queue that was just started time to answer; submitting works without it too."""
    for _ in range(_QUEUE_POLLS):
        if (await service.health()).queue.ok:
            return
        await asyncio.sleep(_QUEUE_POLL_S)


def verdict_code(view: ScanView) -> int:
    """Return the exit code that tells a script the verdict."""
    verdict = read_verdict(view)
    if verdict is None:
        return EXIT_NOT_CONCLUDED
    if view.scan.state is not State.COMPLETED and verdict.judgement is Judgement.BENIGN:
        return EXIT_NOT_CONCLUDED
    return _EXIT_CODES[verdict.judgement]


@contextmanager
def _worker_beside(settings: Settings) -> Iterator[None]:
    """Run a worker of one in a forked child meanwhile; its log goes to the state folder."""
    child = os.fork()
    if child == 0:
        _become_worker(settings)
    try:
        yield
    finally:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)


def _become_worker(settings: Settings) -> None:
    """Run the worker in this forked child; never returns into the parent's frames."""
    from worker.daemon import run_worker  # noqa: PLC0415 - other commands start sooner without it

    try:
        os.setpgid(0, 0)  # Ctrl-C reaches the person's command, which then stops the worker
        log_to(settings, settings.state_dir / "worker.log")
        run_worker(with_concurrency(settings, 1))
    finally:
        os._exit(0)
