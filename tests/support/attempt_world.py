"""A store with one scan, and an executor that runs it in a scripted sandbox."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from safeurl.adapters.memory.artefacts import MemoryArtefacts
from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from tests.support.builders import make_scan
from tests.support.sandbox import ScriptedEgress, ScriptedSandbox
from worker.attempt.executor import Executor
from worker.attempt.limits import AttemptLimits

DEFAULT_LIMITS = AttemptLimits(
    fetch_timeout=timedelta(seconds=2),
    container_timeout=timedelta(seconds=3),
    attempt_timeout=timedelta(seconds=4),
    lease=timedelta(seconds=30),
    max_retries=3,
    max_redirects=10,
    max_body_bytes=1000,
)


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


class AttemptWorld:
    """A store with one queued scan, and an executor over a scripted sandbox."""

    def __init__(
        self,
        sandbox: ScriptedSandbox,
        limits: AttemptLimits = DEFAULT_LIMITS,
        egress: ScriptedEgress | None = None,
    ) -> None:
        """Take the parts that a test sets; the gateway is None where there is none."""
        self.store: MemoryStore = MemoryStore()
        self.artefacts = MemoryArtefacts()
        self.sandbox = sandbox
        self.egress = egress
        self.scan = make_scan(utc_now())
        self.executor = self.make_executor(limits)

    def make_executor(
        self, limits: AttemptLimits, is_stopping: Callable[[], bool] = lambda: True
    ) -> Executor:
        """Return an executor over this world's parts as they are now."""
        return Executor(
            store=self.store,
            sandbox=self.sandbox,
            egress=self.egress,
            artefacts=self.artefacts,
            limits=limits,
            clock=utc_now,
            owner="w1",
            is_stopping=is_stopping,
        )

    async def run(self) -> Scan:
        """Run one attempt and return the scan as the store has it."""
        await self.store.add([self.scan])
        await self.executor.run(self.scan.id)
        found = await self.store.get(self.scan.id)
        assert found is not None
        assert path_faults(await self.store.audit(self.scan.id)) == []
        assert self.sandbox.released == self.sandbox.prepared
        return found
