"""Shared parts of the rescuer's tests: a store, a queue, and a clock that is set by hand."""

from datetime import UTC, datetime, timedelta

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.report import Profile
from safeurl.model.scan import Scan, new_scan_id
from safeurl.state import State
from worker.leader.rescuer import Reap, Rescuer

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)


class World:
    """A memory store and queue, the time, and a rescuer over them."""

    #: A scan whose worker lives on.
    living: Scan

    def __init__(self, max_retries: int = 3, store: MemoryStore | None = None) -> None:
        """Begin at START, with nothing recorded."""
        self.now = START
        self.store = store or MemoryStore()
        self.queue = MemoryQueue()
        self.reaped: list[tuple[str, int]] = []
        self.ended: set[str | None] = set()
        #: What a monotonic clock shows.
        self.seconds = 0.0
        self.rescuer = self.make_rescuer("r", max_retries)

    def make_rescuer(self, actor: str, max_retries: int, reap: Reap | None = None) -> Rescuer:
        """Return a rescuer over this world's parts."""
        return Rescuer(
            self.store,
            self.queue,
            clock=lambda: self.now,
            actor=actor,
            lease=LEASE,
            max_retries=max_retries,
            reap=reap or self._reap,
            has_ended=lambda owner: owner in self.ended,
            monotonic=lambda: self.seconds,
        )

    async def lead(self, holder: str = "r") -> int:
        """Start or renew a term and return its number."""
        return (await self.store.lead(holder, now=self.now, until=self.now + LEASE)).term

    async def _reap(self, scan_id: str, attempt: int) -> bool:
        self.reaped.append((scan_id, attempt))
        return True

    async def add(self) -> Scan:
        """Record a scan without waking anybody."""
        scan = Scan(
            id=new_scan_id(self.now),
            url="https://example.com/",
            submitted_url="https://example.com/",
            profile=Profile.HTTP,
            state=State.QUEUED,
            version=0,
            attempt=0,
            source="test",
            created_at=self.now,
            updated_at=self.now,
            run_after=self.now,
        )
        await self.store.add([scan])
        return scan

    async def claim(self, scan: Scan) -> Scan:
        """Claim the scan for the worker w1."""
        until = self.now + LEASE
        claimed = await self.store.claim(scan.id, owner="w1", now=self.now, lease_until=until)
        assert claimed is not None
        return claimed

    async def lose(self, scan: Scan) -> None:
        """Claim the scan and let the lease expire, while there is a leader."""
        await self.claim(scan)
        self.now += LEASE + timedelta(seconds=1)
        await self.lead()

    async def found(self, scan: Scan) -> Scan:
        """Return the scan in its present state."""
        found = await self.store.get(scan.id)
        assert found is not None
        return found
