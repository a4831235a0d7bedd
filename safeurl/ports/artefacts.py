"""The store of artefacts."""

from typing import Protocol


class ArtefactStore(Protocol):
    """Stores blobs under their SHA-256; the same bytes are stored only once."""

    async def put(self, data: bytes) -> str:
        """Store the bytes durably and return their SHA-256 as lower-case hex."""

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, or None if there is no blob with this name."""
