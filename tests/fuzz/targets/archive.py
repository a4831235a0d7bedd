"""Backups: a tar of ours, changed anywhere, is refused with a sentence or is whole."""

import io
import tempfile
from pathlib import Path

from safeurl.adapters.backup.archive import ArchiveReader
from safeurl.adapters.backup.unpack import Rooms, unpack
from safeurl.errors import RequestError

_KNOWN = frozenset(range(1, 100))


def fuzz_archive(data: bytes) -> None:
    """Hold that unpacking writes into its own folders only, and refuses by name."""
    with tempfile.TemporaryDirectory() as folder:
        rooms = Rooms(database=Path(folder) / "database", artefacts=Path(folder) / "artefacts")
        rooms.database.mkdir()
        rooms.artefacts.mkdir()
        try:
            unpack(ArchiveReader(io.BytesIO(data)), rooms, _KNOWN, lambda *_: None)
        except RequestError as error:
            assert str(error)
        assert {each.name for each in Path(folder).iterdir()} == {"database", "artefacts"}
