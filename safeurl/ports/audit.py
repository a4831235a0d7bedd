"""The audit trail of one scan, and the complete trail."""

from typing import Protocol

from safeurl.model.audit import AuditRow, SchemaFault, Seal, Trail
from safeurl.model.scan import AuditEntry


class AuditTrail(Protocol):
    """The audit trail of one scan."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Return the scan's audit trail, oldest first."""


class AuditLedger(Protocol):
    """The complete audit trail, by row id, and the seals over it."""

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Return the audit rows after the id `after`, by id, also rows that are not valid."""

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Return the trails of the scans after the id `after`, by id, each read at one moment."""

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Return the seals after the number `after`, by number."""

    async def last_seal(self) -> Seal | None:
        """Return the newest seal."""

    async def seal(self, seal: Seal) -> bool:
        """Append a seal; return False if its term is not the newest or it leaves a gap."""

    async def last_numbers(self) -> tuple[int, int]:
        """Return the highest row id and the highest seal number that were ever assigned.

        The database stores them separately from the rows, so that missing rows at the end of the
        trail are noticed.
        """

    async def schema_faults(self) -> list[SchemaFault]:
        """Return the differences between the schema and `schema.sql`, without reading our tables.

        Raise StoreUnavailableError if the schema is older or newer, or if there is none.
        """

    async def content_faults(self) -> list[str]:
        """Return the constraints that rows break, and the damage in the database.

        Call this only if no fault of the schema has a risk above `Risk.NONE`.
        """
