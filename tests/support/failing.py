"""The shipped fakes with a fault that a test can switch on and off."""

from collections.abc import Sequence
from datetime import datetime

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.scan import Scan
from safeurl.model.view import ScanView
from safeurl.model.worker import WorkerHeartbeat


class FailingStore(MemoryStore):
    """A store whose calls raise `fault` while there is one."""

    def __init__(self) -> None:
        """Begin without a fault."""
        super().__init__()
        self.fault: Exception | None = None

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert, or fail."""
        self._fail()
        await super().add(scans)

    async def get(self, scan_id: str) -> Scan | None:
        """Look it up, or fail."""
        self._fail()
        return await super().get(scan_id)

    async def view(self, scan_id: str) -> ScanView | None:
        """Look everything up, or fail."""
        self._fail()
        return await super().view(scan_id)

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """List, or fail."""
        self._fail()
        return await super().page(limit=limit, before=before)

    async def workers(self, *, since: datetime) -> list[WorkerHeartbeat]:
        """List, or fail."""
        self._fail()
        return await super().workers(since=since)

    async def ping(self) -> None:
        """Answer, or fail."""
        self._fail()

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


class FailingQueue(MemoryQueue):
    """A queue whose calls raise `fault` while there is one."""

    def __init__(self) -> None:
        """Begin without a fault."""
        super().__init__()
        self.fault: Exception | None = None

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Push, or fail."""
        self._fail()
        await super().push(scan_ids, first=first)

    async def ping(self) -> int:
        """Answer, or fail."""
        self._fail()
        return await super().ping()

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault
