"""Reads a backup into staging folders and validates it there, before anything is installed.

Nothing in the file is trusted: neither its names, sizes and order nor the database.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safeurl.adapters.backup.archive import DAMAGED, ArchiveReader, Member
from safeurl.adapters.backup.document import (
    DATABASE_NAME,
    MANIFEST_NAME,
    MAX_DOCUMENT_BYTES,
    SEAL_NAME,
    blob_sha256,
    decode,
    require_known,
)
from safeurl.adapters.backup.location import create_private
from safeurl.adapters.backup.validator import DatabaseValidator
from safeurl.adapters.files.artefacts import blob_path
from safeurl.errors import RequestError
from safeurl.model.records.backup import Manifest, Progress, Seal, Unpacked


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingFolders:
    """Two empty folders, on the disks of the database and of the blobs."""

    database: Path
    artefacts: Path


def unpack(
    reader: ArchiveReader,
    staging: StagingFolders,
    known: frozenset[int],
    progress: Progress,
    validator: DatabaseValidator,
) -> Unpacked:
    """Read the whole backup into the staging folders; raise RequestError if it is not valid.

    `known` are the numbers of the migrations that this code has. Only the validator opens the
    database.
    """
    manifest = _read_manifest(reader, known)
    path = staging.database / DATABASE_NAME
    _read_database(reader, manifest, path)
    progress("database", manifest.database_bytes, manifest.database_bytes)
    inventory = validator.inventory(path, manifest.database_bytes)
    if inventory.migrations != manifest.migrations:
        raise RequestError(f"{DAMAGED}: its database has other migrations than its manifest.")
    named = validator.blobs()
    found = 0
    while (member := reader.next()).name != SEAL_NAME:
        _read_blob(reader, member, named, staging.artefacts)
        found += 1
        progress("artefacts", found, inventory.artefacts)
    seal = decode(_read_document(reader, member), Seal)
    reader.finish()
    whole = Seal(artefacts=found, missing=inventory.artefacts - found, sha256=member.sha256_before)
    if seal != whole:
        raise RequestError(f"{DAMAGED}: its seal does not match its contents.")
    return Unpacked(manifest=manifest, inventory=inventory, seal=seal)


def _read_manifest(reader: ArchiveReader, known: frozenset[int]) -> Manifest:
    data = _read_document(reader, _expect(reader, MANIFEST_NAME))
    require_known(data)
    manifest = decode(data, Manifest)
    if not known.issuperset(manifest.migrations):
        raise RequestError(
            f"The backup is of a newer SafeURL ({manifest.safeurl!r}), whose database this version "
            "does not know. Restore it with that version."
        )
    return manifest


def _read_database(reader: ArchiveReader, manifest: Manifest, path: Path) -> None:
    member = _expect(reader, DATABASE_NAME)
    size, sha256 = manifest.database_bytes, manifest.database_sha256
    if member.size_bytes != size or _store(reader, member, path) != sha256:
        raise RequestError(f"{DAMAGED}: its database is not the one that was saved.")


def _read_blob(reader: ArchiveReader, member: Member, named: Iterator[str], folder: Path) -> None:
    sha256 = blob_sha256(member.name)
    # Both are in ascending order. The search consumes the names before this one, so a member that
    # the database does not name, or a second member of the same name, is not found.
    if sha256 is None or not any(sha256 == name for name in named):
        raise RequestError(f"The backup holds {member.name!r}, which the database does not name.")
    path = blob_path(folder, sha256)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if _store(reader, member, path) != sha256:
        raise RequestError(f"{DAMAGED}: {member.name!r} is not what was saved.")


def _expect(reader: ArchiveReader, name: str) -> Member:
    member = reader.next()
    if member.name != name:
        raise RequestError(f"The backup holds {member.name!r} where {name} belongs.")
    return member


def _read_document(reader: ArchiveReader, member: Member) -> bytes:
    if member.size_bytes > MAX_DOCUMENT_BYTES:
        raise RequestError(f"{DAMAGED}: its {member.name} is too large.")
    return b"".join(reader.chunks(member))


def _store(reader: ArchiveReader, member: Member, path: Path) -> str:
    """Write the member to a new file and return its SHA-256."""
    digest = hashlib.sha256()
    with create_private(path) as stream:
        for chunk in reader.chunks(member):
            digest.update(chunk)
            stream.write(chunk)
    return digest.hexdigest()
