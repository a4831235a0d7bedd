"""Backups that are damaged or hostile: refused, each by name, and nothing is put in place."""

import asyncio
import hashlib
import io
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from safeurl.adapters.backup import BackupTaker, Location, Restorer
from safeurl.adapters.backup.archive import ArchiveWriter
from safeurl.adapters.backup.document import decode, encode
from safeurl.adapters.backup.snapshot import copy_database
from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.adapters.sql.schema.shipped import migrations, schema_sql, statements_of
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.errors import RequestError
from safeurl.model.records.backup import Manifest, Seal
from tests.support.builders import NOW
from tests.support.churner import churn_once


def _place(folder: Path) -> Location:
    return Location(
        folder=folder,
        database=folder / "safeurl.db",
        artefacts=folder / "artefacts",
        valkey_lock=folder / "valkey" / "lock",
    )


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Do nothing."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a backup of five scans and two artefacts."""
    folder = tmp_path_factory.mktemp("good")
    place = _place(folder / "state")

    async def fill() -> None:
        store = SQLiteStore(place.database)
        await store.migrate()
        await churn_once(store, FileArtefacts(place.artefacts))
        await store.close()

    asyncio.run(fill())
    file = folder / "good.tar"
    BackupTaker(place, at=NOW, version="1", progress=_quiet).take(file, replace=False)
    return file.read_bytes()


def _restore(data: bytes, folder: Path) -> None:
    file = folder / "backup.tar"
    file.write_bytes(data)
    Restorer(_place(folder / "state"), at=NOW, progress=_quiet).restore(file, replace=False)


def _refused(data: bytes, folder: Path) -> str:
    """Return why; nothing but empty folders is left."""
    with pytest.raises(RequestError) as caught:
        _restore(data, folder)
    left = [path for path in (folder / "state").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["lock"]
    assert list((folder / "state" / "artefacts").iterdir()) == []
    return str(caught.value)


def _members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = [(head.name, archive.extractfile(head)) for head in archive]
        return {name: file.read() for name, file in files if file is not None}


def _sealed(members: dict[str, bytes], missing: int = 0) -> bytes:
    """Return an archive of these members with a seal that fits them."""
    stream = io.BytesIO()
    writer = ArchiveWriter(stream, NOW)
    for name, content in members.items():
        if name != "seal.json":
            writer.add(name, len(content), [content])
    blobs = sum(name.startswith("artefacts/") for name in members)
    seal = encode(Seal(artefacts=blobs, missing=missing, sha256=writer.sha256))
    writer.add("seal.json", len(seal), [seal])
    writer.finish()
    return stream.getvalue()


def test_what_is_not_damaged_is_restored(good: bytes, tmp_path: Path) -> None:
    """The archive that these tests make is the one that the command makes."""
    assert _sealed(_members(good)) == good
    _restore(good, tmp_path)


def _positions(size: int) -> Iterator[int]:
    """Return all the places in the first and last members' heads, and some between."""
    yield from range(0, 1024, 61)
    yield from range(1024, size - 3072, size // 60)
    yield from range(size - 3072, size, 61)


def test_every_flipped_byte_is_found(good: bytes, tmp_path: Path) -> None:
    """In heads, manifest, database, blobs, padding, seal or end."""
    for position in _positions(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0x20
        assert _refused(bytes(damaged), tmp_path), position


def test_every_cut_is_found(good: bytes, tmp_path: Path) -> None:
    """A file that ends too early, or that continues, is refused."""
    for size in (0, 1, 511, 512, 1000, 1536, len(good) // 2, len(good) - 1024, len(good) - 1):
        assert "damaged" in _refused(good[:size], tmp_path), size
    assert "damaged" in _refused(good + b"\0", tmp_path)
    assert "is not a backup" in _refused(b"#!/bin/sh\n" * 1000, tmp_path)


def _changed(data: bytes, change: Callable[[Manifest], Manifest]) -> bytes:
    members = _members(data)
    manifest = decode(members["manifest.json"], Manifest)
    return _sealed(members | {"manifest.json": encode(change(manifest))})


def test_a_newer_backup_is_refused(good: bytes, tmp_path: Path) -> None:
    """The format decides, whatever else the manifest says, or the migrations do."""
    newer = {"manifest.json": b'{"format": 2, "shape": "another"}'}
    assert "has format 2" in _refused(_sealed(_members(good) | newer), tmp_path)
    later = _changed(good, lambda manifest: replace(manifest, migrations=(1, 999), safeurl="9"))
    assert "newer SafeURL ('9')" in _refused(later, tmp_path)
    fewer = _changed(good, lambda manifest: replace(manifest, migrations=()))
    assert "other migrations" in _refused(fewer, tmp_path)


def test_a_manifest_that_lies_is_refused(good: bytes, tmp_path: Path) -> None:
    """Size and hash of the database are those of the manifest, which is small."""
    small = _changed(good, lambda manifest: replace(manifest, database_bytes=1))
    assert "not the one that was saved" in _refused(small, tmp_path)
    other = _changed(good, lambda manifest: replace(manifest, database_sha256="0" * 64))
    assert "not the one that was saved" in _refused(other, tmp_path)
    large = _changed(good, lambda manifest: replace(manifest, safeurl="x" * 70_000))
    assert "too large" in _refused(large, tmp_path)
    for text in (b"", b"null", b"[]", b'{"format": 1}', b"\xff\xfe", b'{"format": "1"}'):
        empty = _sealed(_members(good) | {"manifest.json": text})
        assert "its manifest or seal cannot be read" in _refused(empty, tmp_path)


def test_artefacts_are_those_of_the_database(good: bytes, tmp_path: Path) -> None:
    """An additional one, a different one and a missing one are refused."""
    members = _members(good)
    blob = next(name for name in members if name.startswith("artefacts/"))
    stray = {f"artefacts/00/{'0' * 62}": b"stray"}
    assert "which the database does not name" in _refused(_sealed(members | stray), tmp_path)
    assert "not what was saved" in _refused(_sealed(members | {blob: b"other"}), tmp_path)
    fewer = {name: data for name, data in members.items() if name != blob}
    assert "its seal does not match" in _refused(_sealed(fewer), tmp_path)
    _restore(_sealed(fewer, missing=1), tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/etc/passwd", tarfile.REGTYPE),
        ("../outside", tarfile.REGTYPE),
        (f"artefacts/../{'0' * 62}", tarfile.REGTYPE),
        (f"artefacts/00/{'0' * 62}/x", tarfile.REGTYPE),
        (f"artefacts/00/{'0' * 62}", tarfile.SYMTYPE),
        (f"artefacts/00/{'0' * 62}", tarfile.LNKTYPE),
        ("artefacts", tarfile.DIRTYPE),
        ("console", tarfile.CHRTYPE),
        ("pipe", tarfile.FIFOTYPE),
        ("pax", tarfile.XHDTYPE),
        ("sparse", tarfile.GNUTYPE_SPARSE),
    ],
)
def test_a_hostile_member_is_refused(good: bytes, tmp_path: Path, name: str, kind: bytes) -> None:
    """Names that lead out, links, devices and extensions, before or after the database."""
    head = tarfile.TarInfo(name)
    head.type, head.linkname = kind, "/etc/passwd"
    block = head.tobuf(tarfile.GNU_FORMAT)
    with tarfile.open(fileobj=io.BytesIO(good)) as archive:
        heads = [member.offset for member in archive]
    for offset in heads[:3]:
        words = _refused(good[:offset] + block + good[offset:], tmp_path)
        assert repr(name) in words
    assert not (tmp_path / "outside").exists()


def test_sizes_that_cannot_be_are_refused(good: bytes, tmp_path: Path) -> None:
    """A size larger than the file, and a negative size."""
    with tarfile.open(fileobj=io.BytesIO(good)) as archive:
        database = archive.getmembers()[1]
    for size in (1 << 40, -1):
        head = tarfile.TarInfo("safeurl.db")
        head.size = size
        block = head.tobuf(tarfile.GNU_FORMAT)
        assert _refused(good[: database.offset] + block + good[database.offset_data :], tmp_path)


def _with_database(good: bytes, folder: Path, *sql: str) -> bytes:
    """Return the backup with its database changed, hash and size made to fit."""
    path = folder / "changed.db"
    path.write_bytes(_members(good)["safeurl.db"])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        for statement in sql:
            database.execute(statement)
    return _fitting(good, path.read_bytes())


def _fitting(good: bytes, database: bytes) -> bytes:
    """Return the backup with another database, which its manifest describes."""
    digest = hashlib.sha256(database).hexdigest()
    return _changed(
        _sealed(_members(good) | {"safeurl.db": database}),
        lambda manifest: replace(manifest, database_bytes=len(database), database_sha256=digest),
    )


def test_a_database_that_is_not_sound_is_refused(good: bytes, tmp_path: Path) -> None:
    """Links to nothing, torn pages, foreign tables, no database at all."""
    orphan = "PRAGMA foreign_keys = OFF", "DELETE FROM scan_jobs WHERE state = 'COMPLETED'"
    words = _refused(_with_database(good, tmp_path, *orphan), tmp_path)
    assert "refers to no row of scan_jobs" in words
    torn = bytearray(_members(good)["safeurl.db"])
    torn[4096 * 2 : 4096 * 9] = bytes(4096 * 7)
    assert "is damaged" in _refused(_fitting(good, bytes(torn)), tmp_path)
    other = _with_database(good, tmp_path, "DROP TABLE schema_migrations")
    assert "is not SafeURL's" in _refused(other, tmp_path)
    assert "is damaged" in _refused(_fitting(good, b"no database " * 1000), tmp_path)


def _of_version(good: bytes, folder: Path, applied: tuple[int, ...]) -> bytes:
    """Return a backup of an empty database that has these migrations."""
    path = folder / "older.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statements_of(schema_sql())[0])
        for step in migrations():
            if step.number in applied:
                database.executescript(step.sql)
                database.execute(
                    "INSERT INTO schema_migrations VALUES (?, ?, '2026-01-02T03:04:05.000000Z')",
                    (step.number, step.name),
                )
    members = {"manifest.json": _members(good)["manifest.json"], "safeurl.db": path.read_bytes()}
    return _changed(
        _fitting(_sealed(members), members["safeurl.db"]),
        lambda manifest: replace(manifest, migrations=applied),
    )


@pytest.mark.parametrize("count", range(1, len(migrations())))
async def test_an_older_schema_is_migrated_later(good: bytes, tmp_path: Path, count: int) -> None:
    """It is compared with the schema of its own version, and works once it is migrated."""
    applied = tuple(range(1, count + 1))
    _restore(_of_version(good, tmp_path, applied), tmp_path)
    store = SQLiteStore(_place(tmp_path / "state").database)
    assert await store.migrate() == list(range(count + 1, len(migrations()) + 1))
    assert await store.schema_faults() == []
    await store.close()


def test_a_schema_of_another_version_than_it_says_is_refused(good: bytes, tmp_path: Path) -> None:
    """Fewer migrations than the schema shows, none, and some that never were together."""
    for kept in (1, 0):
        sql = f"DELETE FROM schema_migrations WHERE number > {kept}"  # noqa: S608 - our numbers
        fewer = _with_database(good, tmp_path, sql)
        numbers = tuple(range(1, kept + 1))
        lying = _changed(fewer, partial(_with_migrations, numbers=numbers))
        assert "is not SafeURL's" in _refused(lying, tmp_path)
    other = _with_database(good, tmp_path, "DELETE FROM schema_migrations WHERE number = 2")
    lying = _changed(other, partial(_with_migrations, numbers=(1, 3)))
    assert "that of no version of SafeURL" in _refused(lying, tmp_path)


def _with_migrations(manifest: Manifest, numbers: tuple[int, ...]) -> Manifest:
    return replace(manifest, migrations=numbers)


def test_a_copy_is_of_one_moment_and_ends(tmp_path: Path) -> None:
    """Another process writes after each copied page, and none of this is in the copy."""
    source, target = tmp_path / "source.db", tmp_path / "target.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (n INTEGER)")
        other.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(3000)])
        steps = 0

        def write(_done: int, _total: int) -> None:
            nonlocal steps
            steps += 1
            assert steps < 1000, "it begins anew again and again"
            other.execute("UPDATE t SET n = -1 WHERE rowid % 3 = 0")

        copy_database(source, target, write, pages=1)
    assert steps > 5
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT min(n), count(*) FROM t").fetchone() == (0, 3000)
