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
#: The wait for the queue. An embedded queue may have to read a long file after its start; another
#: queue runs already.
_EMBEDDED_START_S = 30.0
_QUEUE_START_S = 2.0
_QUEUE_POLL_S = 0.05
#: The interval of the checks for Docker while a scan waits, and how long Docker may be away.
_CHECK_S = 2.0
_AWAY_S = 10.0
#: A worker takes two signals as different ones only if the time between them is longer than this.
_SIGNAL_GAP_S = 0.6
#: After so many distinct signals the worker is killed with everything that it runs.
_KILLING_SIGNALS = 3
_END_POLL_S = 0.02
_EXIT_CODES = {
    Judgement.BENIGN: 0,
    Judgement.SUSPICIOUS: 10,
    Judgement.MALICIOUS: 20,
    Judgement.INCONCLUSIVE: EXIT_NOT_CONCLUDED,
}
#: Exit codes; of several scans, the first of these decides.
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
    url = _single_url(url)
    parse(url, make_policy(settings))  # refuse a wrong URL before anything is started
    prepare(settings)  # here too, because the forked worker reports errors only to its log
    parts = _Parts(settings)
    asyncio.run(parts.check())
    interrupts = Interrupts()
    with _running_worker(settings, interrupts) as worker:
        view = asyncio.run(_scan(settings, url, _Wait(worker, parts, interrupts)))
        # Printed before the worker is stopped, because it may still run the scan of another user.
        screen = Screen()
        if as_document:
            screen.document(view_document(view), indent=2)
        else:
            print_view(screen, view)
        screen.flush()
    if interrupts.number:
        leave(interrupts.exit_code)
    if not is_ended(view.scan):
        complain(_unfinished_reason(view.scan, worker, parts, settings))
        leave(EXIT_UNAVAILABLE)
    leave(verdict_code(view))


def _single_url(text: str) -> str:
    """Return the only URL in an argument; print a note with its other words."""
    found = find_urls(text)
    if len(found.urls) > 1:
        raise RequestError(
            f"This text holds {len(found.urls)} URLs, and `safeurl scan` opens one. Scan them one "
            "by one, or submit them with `submit-scan`."
        )
    if not found.left_out:
        return text
    note(f"Left out, because it is not a URL: {safe_text(' '.join(found.left_out))}")
    return found.urls[0]


def _unfinished_reason(scan: Scan, worker: "_Worker", parts: "_Parts", settings: Settings) -> str:
    """Return the reason why the scan did not end, and what happens to it next."""
    reason = scan.detail or parts.missing or worker.failure(settings)
    return f"{reason} The scan stays queued and is tried again by `safeurl worker`."


@dataclass(frozen=True, slots=True)
class _Wait:
    """The processes and signals that may end the wait for the scan."""

    worker: "_Worker"
    parts: "_Parts"
    interrupts: Interrupts

    def is_over(self, scan: Scan) -> bool:
        """Return whether waiting longer has no use."""
        has_ended = is_ended_or_put_off(scan) or self.worker.has_ended()
        has_ended = has_ended or (self.worker.is_failing and scan.state is State.QUEUED)
        return has_ended or self.interrupts.number > 0 or self.parts.are_missing(scan)


async def _scan(settings: Settings, url: str, wait: _Wait) -> ScanView:
    async with open_service(settings) as service, wait.parts.monitored():
        timeout_s = _EMBEDDED_START_S if settings.is_redis_embedded else _QUEUE_START_S
        await _until_queue_answers(service, wait.worker, settings, timeout_s)
        # Before this line a signal may end the command, because nothing is recorded. After it the
        # scan may be recorded, so no signal ends the command before the cancel is written.
        wait.interrupts.hold()
        await asyncio.sleep(0)  # an earlier signal ends the command here, not during the submit
        submission = await service.submit([url], source="cli")
        scan_id = submission.scans[0].id
        try:
            await watch(
                service,
                scan_id,
                Screen(stderr=True),
                ended=wait.is_over,
                remote=bool(settings.turso_connection_url),
            )
        except UnavailableError:
            raise  # a cancel would fail in the same way
        except BaseException:
            await _cancel(service, scan_id)
            raise
        if wait.interrupts.number:
            await _cancel(service, scan_id)
        return await service.view(scan_id)


async def _cancel(service: Service, scan_id: str) -> None:
    """Cancel the scan and print a note, unless it has just ended."""
    try:
        await service.cancel(scan_id, actor="cli")
    except ScanFinishedError:
        return
    note("The scan is cancelled. Its sandbox is being ended; a second Ctrl-C stops at once.")


async def _until_queue_answers(
    service: Service, worker: "_Worker", settings: Settings, timeout_s: float
) -> None:
    """Wait until the queue answers; raise QueueUnavailableError if it does not.

    Without the queue, our worker would get no wake-up, and the command would wait forever.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        queue = await service.queue()
        if queue.ok:
            return
        if worker.has_ended() or worker.is_failing or loop.time() > deadline:
            why = f" {worker.failure(settings)}" if worker.is_failing else ""
            raise QueueUnavailableError(f"{queue.detail}{why} Nothing was scanned.")
        await asyncio.sleep(_QUEUE_POLL_S)


def verdict_code(view: ScanView) -> int:
    """Return the exit code for the verdict, which scripts read."""
    verdict = read_verdict(view)
    if verdict is None:
        return EXIT_NOT_CONCLUDED
    if view.scan.state is not State.COMPLETED and verdict.judgement is Judgement.BENIGN:
        return EXIT_NOT_CONCLUDED
    return _EXIT_CODES[verdict.judgement]


class _Worker:
    """A forked worker that runs one scan at a time; its log is in the state folder."""

    def __init__(self, settings: Settings) -> None:
        #: 1 if a process of the worker fails at each start. The fork writes it, and we read it.
        self._failing = mmap.mmap(-1, 1)
        self._pid = start_role(Role("worker", lambda: _run_own_worker(settings, self._set_failing)))
        self._has_ended = False

    @property
    def is_failing(self) -> bool:
        """True if a process of the worker fails at each start, so that no scan will end."""
        return self._failing[0] > 0

    def failure(self, settings: Settings) -> str:
        """Return the fault of the worker in one sentence."""
        ends = "fails at each start" if self.is_failing else "ended by itself"
        return f"The worker {ends}; {settings.worker_log} says why."

    def _set_failing(self, names: tuple[str, ...]) -> None:
        """Record in the fork whether a process of the worker fails at each start."""
        self._failing[0] = bool(names)

    def has_ended(self) -> bool:
        """Return whether the worker has ended."""
        if not self._has_ended:
            self._has_ended = exit_status(self._pid) is not None
        return self._has_ended

    def stop(self, interrupts: Interrupts) -> None:
        """Send SIGTERM to the worker and wait for its end; it first finishes its scan.

        A second signal is passed on, and the worker gives its scan back to the queue. A third one
        is passed on too, and the worker ends without waiting.
        """
        interrupts.hold()
        # If there was a signal, the first one has caused this call.
        earlier = min(interrupts.count, 1)
        began_s, passed = time.monotonic(), 0
        while not self.has_ended():
            wanted = (
                1 + min(interrupts.count - earlier, 1) + (interrupts.distinct >= _KILLING_SIGNALS)
            )
            if passed < wanted and time.monotonic() >= began_s + passed * _SIGNAL_GAP_S:
                os.kill(self._pid, signal.SIGTERM)
                passed += 1
            time.sleep(_END_POLL_S)


@contextmanager
def _running_worker(settings: Settings, interrupts: Interrupts) -> Iterator[_Worker]:
    """Run a worker during the block, and stop it at its end; only SIGKILL prevents the stop."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    worker = _Worker(settings)
    try:
        yield worker
    finally:
        worker.stop(interrupts)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End with the signal's exit code, but execute every `finally` first."""
    raise SystemExit(128 + number)


def _run_own_worker(settings: Settings, on_failing: Callable[[tuple[str, ...]], None]) -> None:
    """Run a worker for one scan, with its own egress gateway unless a systemd unit runs one.

    A gateway that several commands share would end with the command that started it, and with it
    the connections of other `safeurl scan` commands.
    """
    from worker.daemon import run_worker  # noqa: PLC0415 - other commands start sooner without it
    from worker.egress.gateway.server import run_gateway  # noqa: PLC0415 - the same

    log_to(settings, settings.worker_log)
    # A single scan takes less time than to start a sandbox ahead of it.
    os.environ["POOL_SIZE"] = "0"  # where the jobs read it
    one = with_concurrency(settings, 1).model_copy(update={"pool_size": "0"})
    if settings.egress_dir or settings.container_network != "none":
        run_worker(one, on_failing=on_failing)
        return
    with TemporaryDirectory(prefix="egress-", dir=settings.state_dir) as folder:
        os.environ["EGRESS_DIR"] = folder  # the jobs read it there
        own = one.model_copy(update={"egress_dir": folder})
        gateway = Role("gateway", lambda: run_gateway(own), stop_wave=2)
        run_worker(own, more=(gateway,), on_failing=on_failing)


class _Parts:
    """The parts that a scan needs in addition to its worker; without them it would wait forever."""

    def __init__(self, settings: Settings) -> None:
        """Assume that all parts are present."""
        self._settings = settings
        self._seen_s = time.monotonic()
        #: The reason why no scan can begin, from the last check; empty if there is none.
        self.missing = ""

    async def check(self) -> None:
        """Raise UnavailableError if Docker does not answer, or the gateway of a systemd unit."""
        from worker.bootstrap import make_sandbox  # noqa: PLC0415 - the same; the worker inherits it
        from worker.egress.client.client import EgressClient  # noqa: PLC0415 - the same

        await make_sandbox(self._settings).check_image()
        if self._settings.egress_dir and self._settings.container_network == "none":
            await EgressClient(self._settings.gateway_dir).ping()

    @asynccontextmanager
    async def monitored(self) -> AsyncIterator[None]:
        """Repeat the check until the block ends."""
        monitor = asyncio.create_task(self._monitor())
        try:
            yield
        finally:
            monitor.cancel()

    def are_missing(self, scan: Scan) -> bool:
        """Return whether the scan has not begun and a part has been missing for some time."""
        away_s = time.monotonic() - self._seen_s
        return scan.state is State.QUEUED and bool(self.missing) and away_s > _AWAY_S

    async def _monitor(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_S)
            try:
                await self.check()
            except UnavailableError as error:
                self.missing = str(error)
            else:
                self.missing, self._seen_s = "", time.monotonic()
