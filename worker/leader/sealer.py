"""The sealer: the leader chains new audit rows into seals.

A row gets its id in the transaction that writes it. So ids have no gaps, and a reader sees all rows
up to the newest id. An id without a row was deleted: its seal records it as missing for ever.
"""

import logging

from safeurl.model.audit import Seal
from safeurl.model.seal import MAX_ROWS, NO_ROW, seal_over
from safeurl.ports.audit import AuditLedger
from safeurl.ports.clock import Clock

_log = logging.getLogger("safeurl.sealer")

#: The most seals of one call; the next call seals the rest.
MAX_SEALS = 100


class Sealer:
    """Seals the audit rows that have no seal yet."""

    def __init__(
        self,
        ledger: AuditLedger,
        *,
        clock: Clock,
        max_rows: int = MAX_ROWS,
        max_seals: int = MAX_SEALS,
    ) -> None:
        """Take the limits of one seal (`max_rows`) and of one call (`max_seals`)."""
        self._ledger = ledger
        self._clock = clock
        self._max_rows = max_rows
        self._max_seals = max_seals

    async def seal(self, term: int) -> int:
        """Seal all rows as the leader of this term, and return the number of new seals.

        Each seal is logged: `audit verify --anchor` can compare the chain with such a line later.
        """
        for made in range(self._max_seals):
            seal = await self._next(term)
            if seal is None:
                return made
            if not await self._ledger.seal(seal):
                _log.warning("sealer.refused number=%d term=%d", seal.number, term)
                return made
            _log_seal(seal)
        return self._max_seals

    async def _next(self, term: int) -> Seal | None:
        previous = await self._ledger.last_seal()
        sealed_to = previous.last_id if previous else 0
        rows = await self._ledger.rows(after=sealed_to, limit=self._max_rows)
        if not rows:
            return None
        last_id = min(rows[-1].id, sealed_to + self._max_rows)
        _, number = await self._ledger.last_numbers()
        if number != (previous.number if previous else 0):
            _log.error("sealer.seals_missing last=%d", number)
        return seal_over(
            rows,
            number=number + 1,
            last_id=last_id,
            previous=previous,
            at=self._clock(),
            term=term,
        )


def _log_seal(seal: Seal) -> None:
    absent = seal.digests.count(NO_ROW)
    if absent:
        _log.error("sealer.rows_missing number=%d count=%d", seal.number, absent)
    _log.info(
        "sealer.sealed number=%d first=%d last=%d sha256=%s",
        *(seal.number, seal.first_id, seal.last_id, seal.sha256),
    )
