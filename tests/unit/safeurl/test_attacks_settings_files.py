"""Attacks on settings files and the files of a shared state folder, with real files and users."""

import os
import stat
import struct
from pathlib import Path

import pytest

from safeurl.adapters.files.sharing import share_file
from safeurl.errors import ConfigError
from safeurl.permissions import open_private
from safeurl.settings import file as settings_file
from tests.support.user import STRANGER, needs_root, open_folder, run_as

_TEXT = "EGRESS_DNS64=true\n"


@needs_root
@pytest.mark.parametrize("absolute", [True, False])
def test_a_symlink_half_way_chooses_no_file(*, absolute: bool) -> None:
    """Our symlink leads over another user's, who points it at a file of ours, such as a kit's."""
    with open_folder() as above:
        shared, kit, ours = above / "shared", above / "kit", above / "ours"
        for folder in (shared, kit, ours):
            folder.mkdir(mode=0o755)
        shared.chmod(0o1777)
        (kit / ".env").write_text(_TEXT)
        (ours / ".env").symlink_to(
            shared / "current" / ".env" if absolute else Path("../shared/current/.env")
        )
        run_as(STRANGER, STRANGER, f"import os; os.symlink('{kit}', '{shared / 'current'}')")
        with pytest.raises(ConfigError, match=f"current is a symlink of user {STRANGER}"):
            settings_file.read(ours / ".env")


def test_a_symlink_half_way_in_an_open_folder_chooses_no_file(tmp_path: Path) -> None:
    """The link is ours, and everybody could exchange it."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "target").write_text(_TEXT)
    (shared / "link").symlink_to("../target")
    (tmp_path / ".env").symlink_to("shared/link")
    assert settings_file.read(tmp_path / ".env") == _TEXT
    shared.chmod(0o777)
    with pytest.raises(ConfigError, match="shared can be written by others"):
        settings_file.read(tmp_path / ".env")


def test_a_path_with_dots_is_judged_where_it_leads(tmp_path: Path) -> None:
    """`link/..` is the parent of the link's target, not the folder that contains the link."""
    away = tmp_path / "away" / "inner"
    away.mkdir(parents=True)
    (away.parent / ".env").write_text(_TEXT)
    (tmp_path / "link").symlink_to(away)
    path = Path(f"{tmp_path}/link/../.env")
    assert settings_file.read(path) == _TEXT
    away.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="away can be written by others"):
        settings_file.read(path)


def _with_access_list(folder: Path, user: int) -> None:
    """Give one more user the right to write the folder, as `setfacl -m u:USER:rwx` does."""
    nobody = 0xFFFFFFFF
    entries = [(1, 7, nobody), (2, 7, user), (4, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder, "system.posix_acl_access", struct.pack("<I", 2) + packed)


@needs_root
def test_an_access_list_lets_nobody_in_unseen() -> None:
    """The mode looks like that of a folder for our own group, in which there is no other user."""
    with open_folder() as above:
        folder = above / "folder"
        folder.mkdir(mode=0o755)
        (folder / ".env").write_text(_TEXT)
        folder.chmod(0o775)
        assert settings_file.read(folder / ".env") == _TEXT
        _with_access_list(folder, STRANGER)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o775
        run_as(STRANGER, STRANGER, f"import os; os.rename('{folder}/.env', '{folder}/x.env')")
        with pytest.raises(ConfigError, match="can be written by others"):
            settings_file.read(folder / "x.env")


def test_a_relative_state_folder_is_not_the_current_folders_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kit ships `state/.env`, and the environment names the state folder `state`."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".env").write_text(_TEXT)
    monkeypatch.chdir(tmp_path)
    for name in ("state", "./state", "state/../state", "."):
        found = settings_file.find({"SAFEURL_STATE_DIR": name}, checkout=lambda: None)
        assert found in {None, settings_file.SYSTEM_FILE}
    given = {"SAFEURL_STATE_DIR": str(tmp_path / "state")}
    assert settings_file.find(given, checkout=lambda: None) == tmp_path / "state" / ".env"


def test_a_symlink_for_the_database_opens_no_other_file(tmp_path: Path) -> None:
    """The API's user creates it in the shared folder; the worker must not open its own file."""
    secret = tmp_path / "secret"
    secret.write_text("of the worker alone")
    secret.chmod(0o600)
    tmp_path.chmod(0o3770)
    for name, make in {"soft": Path.symlink_to, "hard": Path.hardlink_to}.items():
        make(tmp_path / name, secret)
        share_file(tmp_path / name)
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        (tmp_path / name).unlink()
    share_file(secret)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o660


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "hardlink", "another's"])
def test_a_log_that_was_put_there_is_not_written(kind: str, tmp_path: Path) -> None:
    """The target is not written, its mode is not changed, and a FIFO does not block."""
    log, other = tmp_path / "worker.log", tmp_path / "other"
    other.write_text("as it was")
    other.chmod(0o644)
    if kind == "symlink":
        log.symlink_to(other)
    elif kind == "dangling":
        log.symlink_to(tmp_path / "nowhere")
    elif kind == "fifo":
        os.mkfifo(log)
    elif kind == "hardlink":
        log.hardlink_to(other)
    else:
        if os.geteuid() != 0:
            pytest.skip("Only root can give a file away.")
        log.touch()
        os.chown(log, STRANGER, STRANGER)
    with pytest.raises(ConfigError, match=r"worker\.log"):
        open_private(log)
    assert (other.read_text(), stat.S_IMODE(other.stat().st_mode)) == ("as it was", 0o644)
    assert not (tmp_path / "nowhere").exists()
