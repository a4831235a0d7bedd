"""Checks that a sandbox on an anchor, as those of the warm pool are, has the walls of any other."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from safeurl.errors import SandboxUnavailableError
from worker.cancellation import await_uncancelled
from worker.doctor.checks.isolation_checks import ExpectedSandbox, IsolationCheck
from worker.doctor.finding import Finding, Status, failed, finding_from_faults
from worker.doctor.probe_runner import ProbeRunner
from worker.sandbox import labels
from worker.sandbox.engine import Engine
from worker.sandbox.options import SandboxSettings, anchor_options

NAME: Final = "pool-walls"
_ADVICE: Final = "Set POOL_SIZE=0, and report this."
#: If the doctor is killed, the reaper removes its anchor after this time.
_DEADLINE: Final = timedelta(minutes=5)

#: Makes the body of an anchor from the settings, the id of its pool and its deadline.
MakeBody = Callable[[SandboxSettings, str, datetime], dict[str, Any]]


async def pool_walls(
    runner: ProbeRunner,
    task: dict[str, Any],
    checks: Sequence[IsolationCheck],
    expected: ExpectedSandbox,
    make_body: MakeBody = anchor_options,
) -> Finding:
    """Run the probe on an anchor; every check must find what it finds in any sandbox."""
    try:
        async with _anchor(runner.settings, runner.socket_path, make_body) as anchor:
            run = await runner.probe(task, anchor=anchor)
    except SandboxUnavailableError as error:
        return failed(NAME, f"not tested: {error}", _ADVICE)
    found = [check.finding(run, expected) for check in checks]
    faults = [f"{each.name}: {each.detail}" for each in found if each.status is Status.FAIL]
    return finding_from_faults(
        NAME, faults, f"a sandbox of the pool passes the same {len(found)} checks", _ADVICE
    )


@asynccontextmanager
async def _anchor(
    settings: SandboxSettings, socket_path: str, make_body: MakeBody
) -> AsyncIterator[str]:
    """Run an anchor meanwhile; yield its id."""
    engine, name = Engine(socket_path), labels.anchor_name()
    body = make_body(settings, f"doctor-{secrets.token_hex(4)}", datetime.now(UTC) + _DEADLINE)

    def start() -> str:
        with engine.client() as client:
            container_id = client.create(name, body)
            client.start(container_id)
            return container_id

    def remove() -> None:
        with engine.client() as client:
            client.remove(name)

    try:
        yield await asyncio.to_thread(start)
    finally:
        await await_uncancelled(asyncio.to_thread(remove))
