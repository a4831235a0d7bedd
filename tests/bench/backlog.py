"""The times of `/health` and of a leader's sweep with a short and a long backlog.

`python -m tests.bench.backlog` prints only these figures.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from safeurl.bootstrap import make_queue, open_store, utc_now
from safeurl.ports.queue import WakeQueue
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT
from safeurl.settings import Settings
from tests.support.live_api import api_process, client_of
from tests.support.valkey import Valkey
from worker.leader.rescuer import PUSH_GRACE, Rescuer

#: Scans that wait.
FEW, MANY = 50, 50_000
_TIMES = 200

_Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Backlog:
    """The times with one number of waiting scans, in milliseconds."""

    #: Over HTTP, of a process of its own.
    http_ms: float
    #: The same without HTTP.
    health_ms: float
    turn_ms: float


def beside_backlogs(folder: Path) -> tuple[Backlog, Backlog]:
    """Return the times with few and with many scans, with SQLite and Valkey."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder)})
    with Valkey(settings.valkey_dir):
        return asyncio.run(_both(settings))


async def _both(settings: Settings) -> tuple[Backlog, Backlog]:
    queue = make_queue(settings)
    async with open_store(settings) as store:
        service = Service(store, queue, utc_now)
        turn = await _leader(store, queue)
        await _submit(service, FEW)
        few = await _measured(settings, service, turn)
        await _submit(service, MANY - FEW)
        many = await _measured(settings, service, turn)
    await queue.close()
    return few, many


async def _leader(store: Store, queue: WakeQueue) -> _Call:
    hour = timedelta(hours=1)
    term = await store.lead("bench", now=utc_now(), until=utc_now() + hour)
    rescuer = Rescuer(
        store,
        queue,
        clock=utc_now,
        actor="bench",
        lease=hour,
        max_retries=3,
        reap=_reap_nothing,
    )
    return lambda: rescuer.sweep(term.term)


async def _submit(service: Service, count: int) -> None:
    for start in range(0, count, MAX_SUBMIT):
        numbers = range(start, min(start + MAX_SUBMIT, count))
        await service.submit([f"https://example.com/{n}" for n in numbers], source="bench")


async def _measured(settings: Settings, service: Service, turn: _Call) -> Backlog:
    # What was submitted just now is not looked at yet.
    await asyncio.sleep(PUSH_GRACE.total_seconds())
    http_ms = await asyncio.to_thread(_http_ms, settings)
    return Backlog(http_ms, await _took_ms(service.health), await _took_ms(turn))


async def _took_ms(call: _Call) -> float:
    took = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        await call()
        took.append(time.perf_counter() - started)
    return _undisturbed_ms(took)


def _undisturbed_ms(took: list[float]) -> float:
    """Return the lower tenth, which other work on the machine disturbs least."""
    return statistics.quantiles(took, n=10)[0] * 1000


def _http_ms(settings: Settings) -> float:
    environ = {"SAFEURL_STATE_DIR": str(settings.state_dir)}
    with api_process(environ) as (_, address), client_of(address) as client:
        took = []
        for _ in range(_TIMES + 1):
            started = time.perf_counter()
            client.get("/health").raise_for_status()
            took.append(time.perf_counter() - started)
    # The first opens connections.
    return _undisturbed_ms(took[1:])


async def _reap_nothing(_scan: str, _attempt: int) -> bool:
    return False


def rows(few: Backlog, many: Backlog) -> list[tuple[str, str]]:
    """Return the figures as rows of the bench."""
    named = (
        ("GET /health", few.http_ms, many.http_ms),
        ("its facts alone", few.health_ms, many.health_ms),
        ("a turn of the leader", few.turn_ms, many.turn_ms),
    )
    return [
        (
            f"{name}, {FEW} and {MANY:,} scans queued",
            f"{short:.2f} ms and {long:.2f} ms ({long / short:.2f} times)",
        )
        for name, short, long in named
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for measurement, figure in rows(*beside_backlogs(Path(name))):
            print(f"{measurement:<52} {figure}", flush=True)  # noqa: T201 - the figures
