"""The artefact store in memory, for tests."""

import hashlib


class MemoryArtefacts:
    """`ArtefactStore` in a dictionary."""

    def __init__(self) -> None:
        """Create an empty store."""
        self._blobs: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        """Store the bytes under their hash."""
        name = hashlib.sha256(data).hexdigest()
        self._blobs[name] = data
        return name

    async def get(self, sha256: str) -> bytes | None:
        """Read the bytes from the dictionary."""
        return self._blobs.get(sha256)
