"""`safeurl scan`: the whole system for one scan, in the foreground."""

import asyncio
import mmap
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Annotated

import typer

from safeurl.bootstrap import make_policy, open_service, prepare
from safeurl.cli.commands.daemons import with_concurrency
from safeurl.cli.entry import EXIT_UNAVAILABLE, complain, leave, log_to, note, read_settings
from safeurl.cli.interrupts import SIGNALS, Interrupts
from safeurl.cli.view.render import print_view, read_verdict, view_document
from safeurl.cli.view.screen import Screen
from safeurl.cli.view.watch import is_ended, is_ended_or_put_off, watch
from safeurl.defang import safe_text
from safeurl.errors import (
    QueueUnavailableError,
    RequestError,
    ScanFinishedError,
    UnavailableError,
)
from safeurl.model.scan import Scan
from safeurl.model.verdict import Judgement
from safeurl.model.view import ScanView
from safeurl.pasted import find_urls
from safeurl.service import Service
from safeurl.settings import Settings
from safeurl.state import State
from safeurl.url import parse
from worker.runtime.supervisor import Role, exit_status, start_role

EXIT_NOT_CONCLUDED = 30
#: An embedded queue was just started and may have a long file to read; another one runs already.
_EMBEDDED_START_S = 30.0
_QUEUE_PATIENCE_S = 2.0
_QUEUE_POLL_S = 0.05
#: How often the engine is asked while a scan waits, and how long it may be away meanwhile.
_ASK_S = 2.0
_AWAY_S = 10.0
#: A worker tells its first signal from its second where they are further apart than this.
_APART_S = 0.6
#: So many signals, each for certain another one, kill the worker with all that it runs.
_KILLING = 3
_END_POLL_S = 0.02
_EXIT_CODES = {
    Judgement.BENIGN: 0,
    Judgement.SUSPICIOUS: 10,
    Judgement.MALICIOUS: 20,
    Judgement.INCONCLUSIVE: EXIT_NOT_CONCLUDED,
}
#: Exit codes in the order in which one stands for several scans.
WORST_FIRST = tuple(
    _EXIT_CODES[judgement]
    for judgement in (
        Judgement.MALICIOUS,
        Judgement.SUSPICIOUS,
        Judgement.INCONCLUSIVE,
        Judgement.BENIGN,
    )
)


def scan(
    url: Annotated[str, typer.Argument(metavar="URL", help="What to open; may be defanged.")],
    *,
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Scan one URL here and now.

    Ctrl-C cancels the scan and waits for its sandbox to end; a second Ctrl-C stops at once.
    Exit code: 0 benign, 10 suspicious, 20 malicious, 30 not concluded or cancelled, 130 after
    Ctrl-C.
    """
    settings = read_settings()
    url = _only(url)
    parse(url, make_policy(settings))  # refused before anything is started
    prepare(settings)  # here too, because the forked worker can only write to its log
    parts = _Parts(settings)
    asyncio.run(parts.ask())
    told = Interrupts()
    with _worker_beside(settings, told) as worker:
        view = asyncio.run(_scan(settings, url, _Company(worker, parts, told)))
        # Before the worker is stopped, which may still be busy with somebody else's scan.
        screen = Screen()
        if as_document:
            screen.document(view_document(view), indent=2)
        else:
            print_view(screen, view)
        screen.flush()
    if told.number:
        leave(told.exit_code)
    if not is_ended(view.scan):
        complain(_why_not(view.scan, worker, parts, settings))
        leave(EXIT_UNAVAILABLE)
    leave(verdict_code(view))


def _only(text: str) -> str:
    """Return the one URL in an argument, and say which words of it are none."""
    found = find_urls(text)
    if len(found.urls) > 1:
        raise RequestError(
            f"This text holds {len(found.urls)} URLs, and `safeurl scan` opens one. Scan them one "
            "by one, or submit them with `submit-scan`."
        )
    if not found.left_out:
        return text
    note(f"Left out, because it is no URL: {safe_text(' '.join(found.left_out))}")
    return found.urls[0]


def _why_not(scan: Scan, worker: "_Worker", parts: "_Parts", settings: Settings) -> str:
    """Return why the scan did not end, and what becomes of it."""
    reason = scan.detail or parts.missing or worker.why(settings)
    return f"{reason} The scan stays queued and is tried again by `safeurl worker`."


@dataclass(frozen=True, slots=True)
class _Company:
    """What a scan in the foreground has beside it, and what may end its wait."""

    worker: "_Worker"
    parts: "_Parts"
    told: Interrupts

    def is_enough(self, scan: Scan) -> bool:
        """Return whether there is nothing to wait for any more."""
        is_over = is_ended_or_put_off(scan) or self.worker.has_ended()
        is_over = is_over or (self.worker.is_failing and scan.state is State.QUEUED)
        return is_over or self.told.number > 0 or self.parts.lack(scan)


async def _scan(settings: Settings, url: str, company: _Company) -> ScanView:
    async with open_service(settings) as service, company.parts.asked_meanwhile():
        patience_s = _EMBEDDED_START_S if settings.is_redis_embedded else _QUEUE_PATIENCE_S
        await _until_queue_answers(service, company.worker, settings, patience_s)
        # Until here a signal leaves nothing behind. From here on the row may be there: no signal
        # ends this before the cancel is written, however soon a second one comes.
        company.told.hold()
        await asyncio.sleep(0)  # one that came before ends this here, and not in the submit
        submission = await service.submit([url], source="cli")
        scan_id = submission.scans[0].id
        try:
            await watch(
                service,
                scan_id,
                Screen(stderr=True),
                ended=company.is_enough,
                remote=bool(settings.turso_connection_url),
            )
        except UnavailableError:
            raise  # nothing could be cancelled either
        except BaseException:
            await _cancel(service, scan_id)
            raise
        if company.told.number:
            await _cancel(service, scan_id)
        return await service.view(scan_id)


async def _cancel(service: Service, scan_id: str) -> None:
    """Cancel the scan, unless it has just ended, and say so."""
    try:
        await service.cancel(scan_id, actor="cli")
    except ScanFinishedError:
        return
    note("The scan is cancelled. Its sandbox is being ended; a second Ctrl-C stops at once.")


async def _until_queue_answers(
    service: Service, worker: "_Worker", settings: Settings, patience_s: float
) -> None:
    """Return once the queue answers; raise QueueUnavailableError when it does not.

    A scan that is only recorded would wait for ever here: the worker beside us cannot hear of it.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        queue = await service.queue()
        if queue.ok:
            return
        if worker.has_ended() or worker.is_failing or loop.time() > deadline:
            why = f" {worker.why(settings)}" if worker.is_failing else ""
            raise QueueUnavailableError(f"{queue.detail}{why} Nothing was scanned.")
        await asyncio.sleep(_QUEUE_POLL_S)


def verdict_code(view: ScanView) -> int:
    """Return the exit code that tells a script the verdict."""
    verdict = read_verdict(view)
    if verdict is None:
        return EXIT_NOT_CONCLUDED
    if view.scan.state is not State.COMPLETED and verdict.judgement is Judgement.BENIGN:
        return EXIT_NOT_CONCLUDED
    return _EXIT_CODES[verdict.judgement]


class _Worker:
    """A worker of one scan at a time in a forked child; its log goes to the state folder."""

    def __init__(self, settings: Settings) -> None:
        #: Whether a process of the worker's fails at each start; the fork writes, we read.
        self._failing = mmap.mmap(-1, 1)
        self._pid = start_role(Role("worker", lambda: _be_worker(settings, self._tell)))
        self._has_ended = False

    @property
    def is_failing(self) -> bool:
        """Whether a process of it fails at each start, so that no scan will end."""
        return self._failing[0] > 0

    def why(self, settings: Settings) -> str:
        """Return what is wrong with it, in a sentence."""
        ends = "fails at each start" if self.is_failing else "ended by itself"
        return f"The worker {ends}; {settings.worker_log} says why."

    def _tell(self, names: tuple[str, ...]) -> None:
        """Note in the fork whether any process of the worker's fails at each start."""
        self._failing[0] = bool(names)

    def has_ended(self) -> bool:
        """Return whether it is gone."""
        if not self._has_ended:
            self._has_ended = exit_status(self._pid) is not None
        return self._has_ended

    def stop(self, told: Interrupts) -> None:
        """Ask it to stop and wait for its end, which comes after that of the scan it runs.

        A second signal is passed on as the worker's second: it hands back what it runs. So is a
        third, after which nothing in it is waited for.
        """
        told.hold()
        # The first one has led here, if there was one.
        earlier = min(told.count, 1)
        began_s, passed = time.monotonic(), 0
        while not self.has_ended():
            wanted = 1 + min(told.count - earlier, 1) + (told.distinct >= _KILLING)
            if passed < wanted and time.monotonic() >= began_s + passed * _APART_S:
                os.kill(self._pid, signal.SIGTERM)
                passed += 1
            time.sleep(_END_POLL_S)


@contextmanager
def _worker_beside(settings: Settings, told: Interrupts) -> Iterator[_Worker]:
    """Run a worker meanwhile, and stop it whatever ends this process, short of SIGKILL."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    worker = _Worker(settings)
    try:
        yield worker
    finally:
        worker.stop(told)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as the signal wants it, but through every `finally`."""
    raise SystemExit(128 + number)


def _be_worker(settings: Settings, on_failing: Callable[[tuple[str, ...]], None]) -> None:
    """Run a worker of one, with an egress gateway of its own unless a unit runs one.

    A shared gateway would end with the command that started it, and take the sandboxes of another
    `safeurl scan` along.
    """
    from worker.daemon import run_worker  # noqa: PLC0415 - other commands start sooner without it
    from worker.egress.gateway.server import run_gateway  # noqa: PLC0415 - the same

    log_to(settings, settings.worker_log)
    one = with_concurrency(settings, 1)
    if settings.egress_dir or settings.container_network != "none":
        run_worker(one, on_failing=on_failing)
        return
    with TemporaryDirectory(prefix="egress-", dir=settings.state_dir) as folder:
        os.environ["EGRESS_DIR"] = folder  # where the jobs read it
        own = one.model_copy(update={"egress_dir": folder})
        gateway = Role("gateway", lambda: run_gateway(own), stop_wave=2)
        run_worker(own, more=(gateway,), on_failing=on_failing)


class _Parts:
    """What a scan needs beside its worker: without them it would wait here, and for ever."""

    def __init__(self, settings: Settings) -> None:
        """Take them for present."""
        self._settings = settings
        self._seen_s = time.monotonic()
        #: Why no scan can begin, at the last look.
        self.missing = ""

    async def ask(self) -> None:
        """Raise UnavailableError when Docker, or the gateway a unit should run, is not there."""
        from worker.bootstrap import make_sandbox  # noqa: PLC0415 - the same; the worker inherits it
        from worker.egress.client.client import EgressClient  # noqa: PLC0415 - the same

        await make_sandbox(self._settings).check_image()
        if self._settings.egress_dir and self._settings.container_network == "none":
            await EgressClient(self._settings.gateway_dir).ping()

    @asynccontextmanager
    async def asked_meanwhile(self) -> AsyncIterator[None]:
        """Keep asking until the block ends."""
        asking = asyncio.create_task(self._keep_asking())
        try:
            yield
        finally:
            asking.cancel()

    def lack(self, scan: Scan) -> bool:
        """Return whether the scan has not begun and a part has been away for a while."""
        away_s = time.monotonic() - self._seen_s
        return scan.state is State.QUEUED and bool(self.missing) and away_s > _AWAY_S

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(_ASK_S)
            try:
                await self.ask()
            except UnavailableError as error:
                self.missing = str(error)
            else:
                self.missing, self._seen_s = "", time.monotonic()
