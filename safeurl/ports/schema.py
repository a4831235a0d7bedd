"""The schema of the database and its connection."""

from typing import Protocol


class StorePing(Protocol):
    """Asks whether the database can be used."""

    async def ping(self) -> None:
        """Return when the database answers and its schema is current, else raise."""


class SchemaStore(StorePing, Protocol):
    """Makes and checks the schema, and ends the connection."""

    async def migrate(self) -> list[int]:
        """Bring the schema up to date; return the numbers of the migrations that were applied."""

    async def require_schema(self) -> None:
        """Check as `ping` does, but repeat the request as all other calls do; make nothing."""

    async def close(self) -> None:
        """Release connections and threads; the store is not used again."""
