"""A worker without a sandbox: every write that a scan costs, and the real analysis between them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles

import msgspec

from safeurl.bootstrap import utc_now
from safeurl.model.attempt import SandboxFacts
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.store import Store
from safeurl.services.conclusion import final_from_evidence
from safeurl.state import Outcome
from tests.support.finished_scan import phishing_evidence

#: Longer than any measurement holds a scan.
LEASE = timedelta(seconds=60)
_FACTS = SandboxFacts(container_id="0" * 64, start_kind="cold", exit_code=0, oom_killed=False)
_NOTE = '{"container":"000000000000","exit_code":0,"start":"cold"}'
_BODY = Artefact(kind="body", sha256="a" * 64, size_bytes=48_213, media_type="text/html")


@dataclass(slots=True)
class Took:
    """How long each call on the store took, in milliseconds."""

    claim_ms: list[float] = field(default_factory=list)
    #: The move to ANALYZING with the evidence.
    store_ms: list[float] = field(default_factory=list)
    finish_ms: list[float] = field(default_factory=list)
    #: When each scan was final, on this machine's monotonic clock.
    ended_s: list[float] = field(default_factory=list)
    #: The CPU seconds of its process by then, which other work on the machine does not change.
    ended_cpu_s: list[float] = field(default_factory=list)

    def add(self, other: "Took") -> None:
        """Take over what another worker measured."""
        self.claim_ms += other.claim_ms
        self.store_ms += other.store_ms
        self.finish_ms += other.finish_ms
        self.ended_s += other.ended_s
        self.ended_cpu_s += other.ended_cpu_s


@dataclass(frozen=True, slots=True)
class Worker:
    """Takes scans through all states on one store."""

    store: Store
    name: str
    #: How long the sandbox would take, drawn anew for each scan.
    pause_s: Callable[[], float] = lambda: 0.0

    async def scan(self, scan_id: str, took: Took) -> bool:
        """Run one attempt as the executor does, but for the fetch; False if it was not ours."""
        store, now = self.store, utc_now()
        claim = store.claim(scan_id, owner=self.name, now=now, lease_until=now + LEASE)
        began_s = time.perf_counter()
        if (claimed := await claim) is None:
            return False
        took.claim_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(self.pause_s())
        await store.append_audit(
            claimed, event="sandbox", detail=_NOTE, now=utc_now(), actor=self.name
        )
        evidence = phishing_evidence(claimed, "Sign in")
        analysis = store.begin_analysis(
            claimed,
            outcome=Outcome.OK,
            detail=None,
            evidence_json=msgspec.json.encode(evidence).decode(),
            artefacts=[_BODY],
            now=utc_now(),
            actor=self.name,
            sandbox=_FACTS,
        )
        moved = await _timed(took.store_ms, analysis)
        ending = final_from_evidence(moved, evidence, utc_now())
        end = store.finish(moved, ending, now=utc_now(), actor=self.name)
        await _timed(took.finish_ms, end)
        took.ended_s.append(time.monotonic())
        took.ended_cpu_s.append(time.process_time())
        return True


async def _timed(into: list[float], move: Awaitable[Scan | None]) -> Scan:
    """Wait for a move, note how long it took, and return the moved scan."""
    began = time.perf_counter()
    moved = await move
    into.append((time.perf_counter() - began) * 1000)
    if moved is None:
        raise RuntimeError("A scan with a lease of ours was taken by another.")
    return moved


def around(mean_s: float, seed: int) -> Callable[[], float]:
    """Return pauses between half and one and a half of the mean, the same in every run."""
    chance = random.Random(seed)  # noqa: S311 - a load, no secrets
    return lambda: chance.uniform(0.5, 1.5) * mean_s


def p50_p99(values: list[float]) -> str:
    """Return both for a table."""
    cuts = quantiles(values, n=100, method="inclusive")
    return f"{cuts[49]:.1f} / {cuts[98]:.1f} ms"
