"""The store of artefacts."""

from typing import Protocol


class ArtefactStore(Protocol):
    """Blobs by their SHA-256; storing the same bytes twice stores them once."""

    async def put(self, data: bytes) -> str:
        """Store the bytes durably and return their SHA-256 as lower-case hex."""

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, or None when there are none of that name."""
