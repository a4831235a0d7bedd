"""The audit trail: of one scan, and as a whole."""

from typing import Protocol

from safeurl.model.audit import AuditRow, SchemaFault, Seal, Trail
from safeurl.model.scan import AuditEntry


class AuditTrail(Protocol):
    """The audit trail of one scan."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Return the scan's audit trail, oldest first."""


class AuditLedger(Protocol):
    """The audit trail as a whole, by row id, and the seals over it."""

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Return audit rows by id, those after the id `after`, whatever they hold."""

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Return the trails of scans by id, those after the id `after`, each of one moment."""

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Return seals by number, those after the number `after`."""

    async def last_seal(self) -> Seal | None:
        """Return the newest seal."""

    async def seal(self, seal: Seal) -> bool:
        """Append a seal; False when its term is not the newest or it does not follow the last."""

    async def last_numbers(self) -> tuple[int, int]:
        """Return the highest row id and the highest seal number that were ever given.

        Kept by the database apart from the rows, so that a tail that was cut off is missed.
        """

    async def schema_faults(self) -> list[SchemaFault]:
        """Compare the schema as it stands with `schema.sql`, without reading any table of it.

        A schema that is older or newer, or none at all, raises StoreUnavailableError instead.
        """

    async def content_faults(self) -> list[str]:
        """Name the rules of the tables that rows break, and what is damaged in the database.

        Ask only where the schema bears no risk for that.
        """
