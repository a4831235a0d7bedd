"""Each sandbox has its own user id on the host, and with it its own per-user limits."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from safeurl.model.sandbox import SandboxExit, SinkResult
from safeurl.state import Outcome
from tests.support.gateway_sandbox import gateway_sandbox
from tests.support.images import docker_client
from tests.support.pages import PageServer
from tests.support.routes import STANDARD_ROUTES
from tests.support.sandbox_lab import TIMEOUT_S, Lab, collector, lab, lab_request, leftovers
from worker.sandbox import labels
from worker.sandbox.runtime import RUNC

#: Prints its ids, and then stays until it is killed.
_STAY = """
import os, signal
print(os.getuid(), flush=True)
signal.pause()
"""

#: With an even attempt number it uses up each limit that the kernel counts per user, and stays;
#: with an odd one it takes a little of each and prints the result. The attempt number comes with
#: the request, so that both are the same program. Python has no names for these calls.
_GREED = r"""
import ctypes, errno, itertools, json, os, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
SIGRTMIN = 34
attempt = json.loads(sys.stdin.readline())["attempt"]
greedy = attempt % 2 == 0

def said(result):
    return "got" if result >= 0 else errno.errorcode[ctypes.get_errno()]

def watches():
    return said(libc.inotify_init1(0))

def hold_pipes():
    # More than 1,024 of 16 pages each, by several processes: one may have 1,024 open files.
    ready, done = os.pipe()
    for _ in range(3):
        if os.fork() == 0:
            for _ in range(400):
                os.pipe()
            os.write(done, b"x")
            signal.pause()
    for _ in range(3):
        os.read(ready, 1)

def pipe():
    _, target = os.pipe()
    os.set_blocking(target, False)
    size = 0
    try:
        while True:
            size += os.write(target, bytes(4096))
    except BlockingIOError:
        return "got" if size == 65536 else "smaller"

names = itertools.count()

def queue():
    return said(libc.mq_open(b"/q%d" % next(names), os.O_CREAT | os.O_RDWR, 0o600, None))

def queued_signal():
    return said(libc.sigqueue(os.getpid(), SIGRTMIN, None))

signal.pthread_sigmask(signal.SIG_BLOCK, {SIGRTMIN})
found = {}
if greedy:
    hold_pipes()
for take, most in ((watches, 400), (pipe, 1), (queue, 200), (queued_signal, 500_000)):
    for number in range(most if greedy else 1):
        word = take()
        if word != "got":
            break
    found[take.__name__] = word
print(json.dumps(found), flush=True)
while greedy:
    signal.pause()
"""


@asynccontextmanager
async def staying(runner: Lab, attempt: int) -> AsyncIterator[str]:
    """Run a sandbox that stays; yield its first line."""
    said = asyncio.get_running_loop().create_future()
    got = bytearray()

    def sink(piece: bytes) -> SinkResult:
        got.extend(piece)
        if b"\n" in got:
            said.get_loop().call_soon_threadsafe(settle, got.decode().partition("\n")[0])
        return SinkResult.MORE

    def settle(line: str) -> None:
        if not said.done():
            said.set_result(line)

    run = asyncio.ensure_future(
        runner.sandbox.run(lab_request(attempt), sink, deadline_s=TIMEOUT_S)
    )
    try:
        await asyncio.wait({run, said}, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT_S)
        assert said.done(), run
        yield said.result()
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def once(runner: Lab, attempt: int) -> tuple[SandboxExit, str]:
    """Run a sandbox to its end; return its exit and its output."""
    got: list[bytes] = []
    ended = await runner.sandbox.run(lab_request(attempt), collector(got), deadline_s=TIMEOUT_S)
    return ended, b"".join(got).decode()


def test_what_one_sandbox_uses_up_another_still_has(runtime: str) -> None:
    """Inotify instances, pipe buffers and queued signals count per user; queues are denied."""

    async def attacked(runner: Lab) -> tuple[Any, Any, Any]:
        _, calm = await once(runner, 1)
        async with staying(runner, 2) as taken:
            _, beside = await once(runner, 3)
        return json.loads(calm), json.loads(taken), json.loads(beside)

    with lab(_GREED, runtime=runtime) as runner:
        calm, taken, beside = asyncio.run(attacked(runner))
    assert beside == calm
    assert calm["pipe"] == "got"
    if runtime == RUNC:
        # gVisor has message queues of its own kernel.
        assert calm["queue"] != "got"
        # No seccomp filter prevents this code from using the limits up.
        assert taken["pipe"] == "smaller"


def test_sandboxes_that_start_together_have_users_of_their_own() -> None:
    """Six out of 16 ids: by chance alone, two would be equal in two of three cases."""
    uids = range(60706, 60722)

    async def together(runner: Lab) -> list[str]:
        said: list[str] = []
        everybody = asyncio.Event()

        async def one(attempt: int) -> None:
            async with staying(runner, attempt) as uid:
                said.append(uid)
                if len(said) == 6:
                    everybody.set()
                await asyncio.wait_for(everybody.wait(), TIMEOUT_S)

        await asyncio.gather(*(one(attempt) for attempt in range(1, 7)))
        return said

    with lab(_STAY, uids=uids, runtime=RUNC) as runner:
        said = asyncio.run(together(runner))
    assert len(set(said)) == len(said) == 6
    assert {int(uid) for uid in said} <= set(uids)


@contextmanager
def leftover(image: str, uid: str) -> Iterator[None]:
    """Leave a container of another installation, as a killed worker does; it may have any label."""
    with docker_client() as client:
        container = client.containers.create(image, labels={labels.UID: uid})
        try:
            yield
        finally:
            container.remove(force=True)


def test_what_a_killed_worker_has_left_keeps_its_user() -> None:
    """Of two ids the free one is used each time; a label that is not a number is ignored."""
    with lab("import os; print(os.getuid())", uids=range(60706, 60708), runtime=RUNC) as runner:
        image = runner.settings.image
        with leftover(image, "60706"), leftover(image, "someone"), leftover(image, ""):
            assert [runner.run().stdout for _ in range(4)] == [b"60707\n"] * 4


def test_without_a_free_user_no_sandbox_starts() -> None:
    """The error names the setting, no container is left, and then an id is free again."""
    with lab("import os; print(os.getuid())", uids=range(60706, 60708), runtime=RUNC) as runner:
        image = runner.settings.image
        with leftover(image, "60706"), leftover(image, "60707"):
            ran = runner.run()
            assert ran.stdout == b""
            assert "All 2 user ids of SANDBOX_UIDS" in (ran.exit.error or "")
            assert leftovers(runner.settings.instance) == []
        assert runner.run().exit.error is None


@pytest.mark.parametrize("uids", [range(60706, 61184), range(2_000_000_001, 2_000_000_099)])
def test_the_fetcher_works_as_any_user(tmp_path: Path, runtime: str, uids: range) -> None:
    """It can use its files, its /tmp and its gateway's socket, also through gVisor's gofer."""
    instance = f"users-{runtime}-{uids[0]}"
    with (
        PageServer(STANDARD_ROUTES) as pages,
        gateway_sandbox(tmp_path, instance, ["127.0.0.1/32"]) as made,
    ):
        runner = replace(made, settings=replace(made.settings, runtime=runtime, uids=uids))
        fetched = runner.fetch(pages.url("/"), allow_cidrs=("127.0.0.1/32",))
    assert fetched.report is not None
    assert (fetched.report.outcome, fetched.exit.exit_code) == (Outcome.OK, 0)
