"""The sealer: chains the audit rows that were written since into seals, as the elected duty.

A row's id is given in the transaction that writes it, so ids come without gaps and a reader sees
all of them up to some id. An id without a row was taken away: it is sealed as missing, for ever.
"""

import logging

from safeurl.model.audit import Seal
from safeurl.model.seal import MAX_ROWS, NO_ROW, seal_over
from safeurl.ports.audit import AuditLedger
from safeurl.ports.clock import Clock

_log = logging.getLogger("safeurl.sealer")

#: Seals per call; what is left comes with the next one.
MAX_SEALS = 100


class Sealer:
    """Seals what nobody has sealed yet."""

    def __init__(
        self,
        ledger: AuditLedger,
        *,
        clock: Clock,
        max_rows: int = MAX_ROWS,
        max_seals: int = MAX_SEALS,
    ) -> None:
        """`max_rows` bounds a seal, `max_seals` a call."""
        self._ledger = ledger
        self._clock = clock
        self._max_rows = max_rows
        self._max_seals = max_seals

    async def seal(self, term: int) -> int:
        """Seal until nothing is left, as the leader of this term; return how many seals stand new.

        The log line of each is what a later `audit verify --anchor` can hold against the chain.
        """
        for made in range(self._max_seals):
            seal = await self._next(term)
            if seal is None:
                return made
            if not await self._ledger.seal(seal):
                _log.warning("sealer.refused number=%d term=%d", seal.number, term)
                return made
            _tell(seal)
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


def _tell(seal: Seal) -> None:
    absent = seal.digests.count(NO_ROW)
    if absent:
        _log.error("sealer.rows_missing number=%d count=%d", seal.number, absent)
    _log.info(
        "sealer.sealed number=%d first=%d last=%d sha256=%s",
        *(seal.number, seal.first_id, seal.last_id, seal.sha256),
    )
