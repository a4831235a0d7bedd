"""What a call costs beside a thousand stored scans and beside a million, by turns.

The two databases are made by `builder`; a call is made on one, then on the other, so that other
work on the machine disturbs both alike.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

import msgspec

from safeurl.adapters.sqlite import SQLiteStore
from safeurl.bootstrap import utc_now
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.services.conclusion import final_from_evidence
from safeurl.state import Outcome
from tests.bench.growth.builder import build
from tests.bench.growth.simulated import LEASE
from tests.support.builders import make_scan
from tests.support.finished_scan import phishing_evidence

T = TypeVar("T")

#: Milliseconds by call and database.
_Times = dict[tuple[str, int], list[float]]

CALLS = ("submit", "claim", "begin analysis", "finish", "status", "newest 50", "due", "metrics")


@dataclass(frozen=True, slots=True)
class Costs:
    """The milliseconds of each call with few and with many scans."""

    few: int
    many: int
    rounds: int
    #: By call.
    medians_ms: Mapping[str, tuple[float, float]]
    p95_ms: Mapping[str, tuple[float, float]]
    #: Medians of the CPU time of the process, which other work on the machine hardly changes.
    cpu_ms: Mapping[str, tuple[float, float]]
    size_mb: float
    #: None where the large database was there already.
    build_s: float | None


def costs(folder: Path, *, few: int, many: int, rounds: int, kept: Path | None = None) -> Costs:
    """Build both databases where they do not exist, and measure every call on both."""
    small, large = folder / "few.db", kept or folder / "many.db"
    build(small, few)
    built_s = None
    if not large.exists():
        began_s = time.monotonic()
        build(large, many)
        built_s = time.monotonic() - began_s
    took, used = asyncio.run(_measure(small, large, rounds))
    pairs = {name: (took[name, 0], took[name, 1]) for name in CALLS}
    return Costs(
        few=few,
        many=many,
        rounds=rounds,
        medians_ms={name: (median(a), median(b)) for name, (a, b) in pairs.items()},
        p95_ms={name: (_p95(a), _p95(b)) for name, (a, b) in pairs.items()},
        cpu_ms={name: (median(used[name, 0]), median(used[name, 1])) for name in CALLS},
        size_mb=large.stat().st_size / 1e6,
        build_s=built_s,
    )


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[18]


async def _measure(small: Path, large: Path, rounds: int) -> tuple[_Times, _Times]:
    took: _Times = {(name, which): [] for name in CALLS for which in (0, 1)}
    used: _Times = {(name, which): [] for name in CALLS for which in (0, 1)}
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(_opened(path)) for path in (small, large)]
        for number in range(-_WARM_UP, rounds):
            order = (0, 1) if number % 2 else (1, 0)
            lives = {which: _Life(stores[which]) for which in order}
            for name in CALLS:
                for which in order:
                    began, cpu_s = time.perf_counter(), time.process_time()
                    await lives[which].call(name)
                    if number >= 0:
                        took[name, which].append((time.perf_counter() - began) * 1000)
                        used[name, which].append((time.process_time() - cpu_s) * 1000)
    return took, used


#: Turns before the measurement, which open connections and fill caches.
_WARM_UP = 20


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[Store]:
    store = SQLiteStore(path)
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()


class _Life:
    """One scan from its submission to its end, call by call."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scan: Scan = make_scan(utc_now())
        self._evidence = phishing_evidence(self._scan, "Sign in")
        self._document = msgspec.json.encode(self._evidence).decode()
        self._calls: Mapping[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: store.add([self._scan]),
            "claim": self._claim,
            "begin analysis": self._analyse,
            "finish": self._finish,
            "status": lambda: store.view(self._scan.id),
            "newest 50": lambda: store.page(limit=50),
            "due": lambda: store.due(now=utc_now(), limit=50),
            "metrics": lambda: store.metrics(now=utc_now()),
        }

    async def call(self, name: str) -> None:
        """Make one call."""
        await self._calls[name]()

    async def _claim(self) -> None:
        now = utc_now()
        claim = self._store.claim(self._scan.id, owner="bench", now=now, lease_until=now + LEASE)
        self._scan = _ours(await claim)

    async def _analyse(self) -> None:
        self._scan = _ours(
            await self._store.begin_analysis(
                self._scan,
                outcome=Outcome.OK,
                detail=None,
                evidence_json=self._document,
                now=utc_now(),
                actor="bench",
            )
        )

    async def _finish(self) -> None:
        ending = final_from_evidence(self._scan, self._evidence, utc_now())
        self._scan = _ours(
            await self._store.finish(self._scan, ending, now=utc_now(), actor="bench")
        )


def _ours(moved: T | None) -> T:
    if moved is None:
        raise RuntimeError("A scan that nobody else works on was not ours to move.")
    return moved
