"""Backups: a changed tar file is refused with a message or is complete."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

from safeurl.adapters.backup.archive import ArchiveReader
from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.unpack import StagingFolders, unpack
from safeurl.adapters.backup.validator import DatabaseValidator
from safeurl.errors import RequestError
from safeurl.model.records.backup import Inventory

_KNOWN = frozenset(range(1, 100))


class _Believing(DatabaseValidator):
    """Starts no process, because the target `database` checks the database."""

    def inventory(self, path: Path, size_bytes: int) -> Inventory:
        assert path.stat().st_size == size_bytes
        return Inventory(migrations=(1,), artefacts=1, queued=0, in_progress=0, final=0)

    def blobs(self) -> Iterator[str]:
        yield "0" * 64


def fuzz_archive(data: bytes) -> None:
    """Check that unpacking writes only into its own folders, and names the reason of a refusal."""
    with tempfile.TemporaryDirectory() as folder:
        rooms = StagingFolders(
            database=Path(folder) / "database", artefacts=Path(folder) / "artefacts"
        )
        rooms.database.mkdir()
        rooms.artefacts.mkdir()
        reader = ArchiveReader(io.BytesIO(data))
        try:
            unpack(reader, rooms, _KNOWN, lambda *_: None, _Believing(Limits()))
        except RequestError as error:
            assert str(error)
        assert {each.name for each in Path(folder).iterdir()} == {"database", "artefacts"}
