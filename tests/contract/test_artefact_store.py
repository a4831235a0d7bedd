"""The contract of every `ArtefactStore`, and the additional behaviour of the store in files."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.adapters.memory.artefacts import MemoryArtefacts
from safeurl.errors import StoreFullError, StoreUnavailableError
from safeurl.ports.artefacts import ArtefactStore

_DATA = b"\x00evidence\xff"
_SHA256 = hashlib.sha256(_DATA).hexdigest()

_MAKERS: dict[str, Callable[[Path], ArtefactStore]] = {
    "memory": lambda _: MemoryArtefacts(),
    "files": FileArtefacts,
}


@pytest.fixture(params=_MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtefactStore:
    """Each implementation in turn, empty."""
    return _MAKERS[request.param](tmp_path / "artefacts")


def stored_files(root: Path) -> list[Path]:
    """Return all files under the root."""
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", [_DATA, b"", bytes(3 * 1024 * 1024)])
async def test_what_is_put_comes_back(store: ArtefactStore, data: bytes) -> None:
    """Stored bytes are returned under their SHA-256, also empty and large ones."""
    sha256 = await store.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert await store.get(sha256) == data


async def test_putting_twice_gives_the_same_name(store: ArtefactStore) -> None:
    """The same bytes have one name, however often they are stored."""
    assert await store.put(_DATA) == await store.put(_DATA) == _SHA256
    assert await store.get(_SHA256) == _DATA


@pytest.mark.parametrize(
    "name",
    [_SHA256, _SHA256.upper(), "", "ab", "../../etc/passwd", f"../{_SHA256}", f"{_SHA256}\n"],
)
async def test_an_unknown_name_is_none(store: ArtefactStore, name: str) -> None:
    """Bytes that were not stored, or text that is not a name, give None and no error."""
    assert await store.get(name) is None


async def test_many_writers_of_the_same_bytes_agree(store: ArtefactStore) -> None:
    """Attempts that find the same page at the same time do not disturb each other."""
    assert set(await asyncio.gather(*(store.put(_DATA) for _ in range(20)))) == {_SHA256}
    assert await store.get(_SHA256) == _DATA


async def test_files_are_stored_once_and_private(tmp_path: Path) -> None:
    """There is one file per blob, readable only by its owner, and no unfinished file."""
    root = tmp_path / "artefacts"
    files = FileArtefacts(root)
    await files.put(_DATA)
    await files.put(_DATA)
    (path,) = stored_files(root)
    assert path.relative_to(root) == Path(_SHA256[:2]) / _SHA256[2:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(part.stat().st_mode) for part in (root, path.parent)} == {0o700}


async def test_a_damaged_file_is_an_error_and_heals_when_stored_again(tmp_path: Path) -> None:
    """Bytes that differ from the stored ones are never returned."""
    files = FileArtefacts(tmp_path)
    await files.put(_DATA)
    (path,) = stored_files(tmp_path)
    path.write_bytes(b"tampered")
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await files.get(_SHA256)
    await files.put(_DATA)
    assert await files.get(_SHA256) == _DATA


async def test_a_root_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """The error of the operating system becomes StoreUnavailableError."""
    root = tmp_path / "file"
    root.write_bytes(b"")
    files = FileArtefacts(root)
    with pytest.raises(StoreUnavailableError):
        await files.put(_DATA)
    with pytest.raises(StoreUnavailableError):
        await files.get(_SHA256)


async def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    """After an hour no process still writes a partial file; artefacts and new files stay."""
    files = FileArtefacts(tmp_path)
    assert await files.sweep() == 0
    await files.put(_DATA)
    (path,) = stored_files(tmp_path)
    left, fresh = path.with_name("left.part"), path.with_name("fresh.part")
    for part in (path, left, fresh):
        part.touch()
    for old in (path, left):
        os.utime(old, (0, 0))
    assert await files.sweep() == 1
    assert sorted(stored_files(tmp_path)) == sorted([path, fresh])


async def test_a_failed_write_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk refuses, nothing half-written stays behind."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safeurl.adapters.files.artefacts.os.fsync", full)
    with pytest.raises(StoreFullError, match="No space left"):
        await FileArtefacts(tmp_path).put(_DATA)
    assert stored_files(tmp_path) == []


async def test_new_directories_are_on_disk_before_the_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard's own name, and that of the root, survive a power cut as the file's does."""
    synced: list[Path] = []
    sync = os.fsync

    def seen(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        sync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    root = tmp_path / "artefacts"
    sha256 = await FileArtefacts(root).put(_DATA)
    assert [path for path in synced if path.is_dir()] == [tmp_path, root, root / sha256[:2]]
