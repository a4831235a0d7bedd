"""Archives that are consistent, and contain a database of an attacker."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

from safeurl.adapters.backup.archive import ArchiveWriter
from safeurl.adapters.backup.document import decode, encode
from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.model.records.backup import Manifest, Seal
from safeurl.ports.store import Store
from tests.support.builders import NOW
from tests.support.churner import churn_once
from tests.support.schema_changes import apply
from tests.support.system import System


def honest_members(folder: Path) -> dict[str, bytes]:
    """Return the members of a valid backup of five scans."""
    system = System(folder / "state")

    async def fill(store: Store) -> None:
        await churn_once(store, FileArtefacts(system.settings.artefact_dir))

    system.with_store(fill)
    assert system.run("backup", str(folder / "good.tar")).returncode == 0
    with tarfile.open(folder / "good.tar") as archive:
        files = [(head.name, archive.extractfile(head)) for head in archive]
        return {name: file.read() for name, file in files if file is not None}


def archive(members: dict[str, bytes], database: bytes) -> bytes:
    """Return an archive with the database, and with a matching manifest and seal."""
    manifest = replace(
        decode(members["manifest.json"], Manifest),
        database_bytes=len(database),
        database_sha256=hashlib.sha256(database).hexdigest(),
    )
    stream = io.BytesIO()
    writer = ArchiveWriter(stream, NOW)
    content = {**members, "manifest.json": encode(manifest), "safeurl.db": database}
    del content["seal.json"]
    for name, data in content.items():
        writer.add(name, len(data), [data])
    seal = encode(Seal(artefacts=len(content) - 2, missing=0, sha256=writer.sha256))
    writer.add("seal.json", len(seal), [seal])
    writer.finish()
    return stream.getvalue()


def changed(members: dict[str, bytes], folder: Path, *statements: str) -> bytes:
    """Return the database of the backup after the statements."""
    path = folder / "changed.db"
    path.write_bytes(members["safeurl.db"])
    apply(path, ["PRAGMA journal_mode = DELETE", *statements])
    return path.read_bytes()
