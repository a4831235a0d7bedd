"""The allowed owners of a settings file, and the users who may be able to write it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import file as settings_file
from tests.support.user import STRANGER, needs_root, open_folder

_TEXT = "EGRESS_DNS64=true\n"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _written_by(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text("EGRESS_DNS64=true\n")
        path.chmod(mode)

    return make


def _long(path: Path) -> None:
    path.write_text("#" * (1024 * 1024 + 1))


def _below_an_open_folder(path: Path) -> None:
    path.write_text("EGRESS_DNS64=true\n")
    path.parent.chmod(0o777)


def _behind_a_symlink(path: Path) -> None:
    target = path.parent / "target"
    target.write_text("EGRESS_DNS64=true\n")
    target.chmod(0o666)
    path.symlink_to(target)


def _behind_a_symlink_to_an_open_folder(path: Path) -> None:
    folder = path.parent / "open"
    folder.mkdir()
    (folder / "target").write_text("EGRESS_DNS64=true\n")
    folder.chmod(0o777)
    path.symlink_to(folder / "target")


_UNTRUSTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (_fifo, "is not a regular file"),
    "folder": (_folder, "is not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "proc": (lambda path: path.symlink_to("/proc/self/mem"), ""),
    "socket": (_socket, "cannot be read"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "cannot be read"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "group": (_written_by(0o620), "can be written by others"),
    "everybody": (_written_by(0o602), "chmod go-w"),
    "long": (_long, "larger than 1 MiB"),
    "open-folder": (_below_an_open_folder, "could exchange the settings file"),
    "symlink": (_behind_a_symlink, "can be written by others"),
    "symlink-out": (_behind_a_symlink_to_an_open_folder, "could exchange the settings file"),
}


@pytest.mark.parametrize("kind", _UNTRUSTED)
def test_a_file_that_others_could_have_written_is_refused(tmp_path: Path, kind: str) -> None:
    """The message names the file or the folder, and no special file blocks the read."""
    make, words = _UNTRUSTED[kind]
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / ".env")
    with pytest.raises(ConfigError) as caught:
        settings_file.read(folder / ".env")
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400, 0o700])
def test_a_file_that_only_its_owner_can_write_is_read(tmp_path: Path, mode: int) -> None:
    """The owner decides who may read it."""
    path = tmp_path / ".env"
    path.write_text(_TEXT)
    path.chmod(mode)
    assert settings_file.read(path) == _TEXT


def test_a_sticky_folder_is_good_enough(tmp_path: Path) -> None:
    """As /tmp: others can put files there, but cannot exchange ours."""
    path = tmp_path / ".env"
    path.write_text(_TEXT)
    tmp_path.chmod(0o1777)
    assert settings_file.read(path) == _TEXT


def test_an_own_symlink_is_followed(tmp_path: Path) -> None:
    """To a file that would be read under its own name as well."""
    (tmp_path / "target").write_text(_TEXT)
    (tmp_path / ".env").symlink_to("target")
    assert settings_file.read(tmp_path / ".env") == _TEXT


@needs_root
@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_what_belongs_to_another_user_is_refused(what: str) -> None:
    """The file itself, a folder above it, or the symlink that leads to it."""
    with open_folder() as above:
        folder = above / "folder"
        folder.mkdir()
        (folder / "target").write_text(_TEXT)
        (folder / ".env").symlink_to("target")
        given = {"file": folder / "target", "folder": folder, "link": folder / ".env"}[what]
        os.chown(given, STRANGER, STRANGER, follow_symlinks=False)
        with pytest.raises(ConfigError, match=f"user {STRANGER}"):
            settings_file.read(folder / ".env")


def test_the_first_place_that_has_a_file_counts(tmp_path: Path) -> None:
    """A named file, else the checkout's, else the state folder's; never the current folder's."""
    state = tmp_path / "state"
    state.mkdir()
    environ = {"SAFEURL_STATE_DIR": str(state)}
    (state / ".env").write_text(_TEXT)
    (tmp_path / ".env").write_text(_TEXT)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / ".env").write_text(_TEXT)
    with _in(tmp_path):
        assert settings_file.find(environ, checkout=lambda: checkout) == checkout / ".env"
        assert settings_file.find(environ, checkout=lambda: None) == state / ".env"
        (checkout / ".env").unlink()
        assert settings_file.find(environ, checkout=lambda: checkout) == state / ".env"
        assert settings_file.find({**environ, "SAFEURL_ENV_FILE": "x"}) == tmp_path / "x"
        assert settings_file.find({**environ, "SAFEURL_ENV_FILE": "none"}) is None
        (state / ".env").unlink()
        (state / ".env").mkdir()  # a virtual environment may be called so
        found = settings_file.find(environ, checkout=lambda: checkout)
        assert found in {None, settings_file.SYSTEM_FILE}


def test_our_checkout_is_found_from_the_package() -> None:
    """Not from the current folder."""
    ours = settings_file.checkout()
    assert ours is not None
    assert (ours / "safeurl/settings/file.py").samefile(settings_file.__file__)


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
