"""A database file that cannot be opened: the message gives the reason and the remedy."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safeurl.adapters.sqlite import SQLiteStore
from safeurl.errors import StoreUnavailableError
from safeurl.permissions import explain
from tests.support.builders import make_scan
from tests.support.small_disk import SmallDisk
from tests.support.user import SERVICE, STRANGER, acting_as, needs_root, open_folder

pytestmark = needs_root

_BEGINNING = "The database file cannot be opened: "


async def _use(store: SQLiteStore) -> None:
    await store.migrate()
    await store.add([make_scan()])
    await store.close()


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    """Return a database in a folder, both the service's."""
    with open_folder() as above:
        path = above / "state" / "safeurl.db"
        await _use(SQLiteStore(path))
        for each in (path.parent, path):
            os.chown(each, SERVICE, SERVICE)
        yield path


async def _refusal(path: Path, user: int = 0, beginning: str = _BEGINNING) -> str:
    """Return the message for that user, after its beginning without the reason."""
    store = SQLiteStore(path)
    with acting_as(user):
        with pytest.raises(StoreUnavailableError) as caught:
            await store.add([make_scan()])
        await store.close()
    said = str(caught.value)
    assert said.startswith(beginning)
    assert said.count(". ") <= 1
    return said.removeprefix(beginning)


async def test_it_opens_for_its_owner(path: Path) -> None:
    """The tests below change a working database."""
    with acting_as(SERVICE):
        await _use(SQLiteStore(path))


async def test_a_folder_of_another_user(path: Path) -> None:
    """Both users are named; the file may not even be seen, or not be there yet."""
    said = (
        f"{path.parent} belongs to user {SERVICE}, and this is user {STRANGER}. "
        f"Run this as user {SERVICE}, or name another folder in SAFEURL_STATE_DIR."
    )
    assert await _refusal(path, STRANGER) == said
    path.parent.chmod(0o755)
    path.unlink()
    assert await _refusal(path, STRANGER) == said


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
async def test_a_file_of_another_user_in_our_folder(path: Path, ending: str) -> None:
    """As root leaves it that worked there: it is to be given back."""
    left = Path(f"{path}{ending}")
    left.touch(mode=0o600)
    os.chown(left, 0, 0)
    assert await _refusal(path, SERVICE) == (
        f"{left} belongs to root, and this is user {SERVICE}. "
        f"As root, give it back with `chown {SERVICE} {left}`."
    )


async def test_a_mode_that_keeps_its_owner_out(path: Path) -> None:
    """The file's, and the folder's."""
    path.chmod(0o400)
    assert await _refusal(path, SERVICE) == (
        f"{path} has the mode 0400, which denies access to user {SERVICE}, its owner. "
        f"Run `chmod u+rw {path}`."
    )
    path.chmod(0o600)
    path.parent.chmod(0o500)
    said = await _refusal(path, SERVICE, "The database file may not be written: ")
    assert said.endswith(f" Run `chmod u+rwx {path.parent}`.")


async def test_a_folder_that_is_away(path: Path) -> None:
    """It is created if this is allowed; if it disappears during use, the disk may be missing."""
    shutil.rmtree(path.parent)
    assert explain(path) == f"the folder {path.parent} does not exist. Is its disk mounted?"
    above = path.parent.parent
    assert (await _refusal(path, SERVICE)).startswith(f"{above} belongs to root, and this is user")


async def test_a_disk_that_is_read_only(tmp_path: Path) -> None:
    """Not even root can write there."""
    with SmallDisk(tmp_path, size_mb=8) as disk:
        await _use(SQLiteStore(tmp_path / "safeurl.db"))
        disk.make_read_only()
        for path in (tmp_path / "safeurl.db", tmp_path / "another.db", tmp_path / "x" / "y.db"):
            assert await _refusal(path) == (
                f"{path} is on a disk that is mounted read-only. Make it writable, and try again."
            )


async def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder in its place, and a file in the place of its folder."""
    folder, file = tmp_path / "folder.db", tmp_path / "file"
    folder.mkdir()
    file.touch()
    assert await _refusal(folder) == f"{folder} is not a file. Move it away, and try again."
    below = file / "safeurl.db"
    assert await _refusal(below) == f"{below}: Not a directory. SAFEURL_STATE_DIR names its folder."
