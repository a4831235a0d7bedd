"""`Leadership` in a list of terms."""

from dataclasses import replace
from datetime import datetime

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.scan import LeaderTerm
from safeurl.ports.clock import CLOCK_SKEW


class MemoryLeadership(MemoryBase):
    """`Leadership` in a list, the newest term last."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew the last term or append a new one."""
        newest = self._terms[-1] if self._terms else None
        if newest is not None and newest.holder == holder:
            self._terms[-1] = replace(newest, until=until)
        elif newest is None or not now < newest.until <= until + CLOCK_SKEW:
            number = len(self._terms) + 1
            self._terms.append(LeaderTerm(term=number, holder=holder, elected_at=now, until=until))
        return self._terms[-1]

    async def resign(self, holder: str, *, now: datetime) -> None:
        """End the last term now if the holder has it."""
        if self._terms and self._terms[-1].holder == holder and self._terms[-1].until > now:
            self._terms[-1] = replace(self._terms[-1], until=now)

    def _is_fenced_in(self, term: int | None) -> bool:
        return term is None or term == len(self._terms)
