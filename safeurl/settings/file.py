"""Finds the settings file, and checks whether it can be trusted.

A `.env` of the current folder is never read unless it is named. Otherwise a user who unpacks a
phishing kit and runs a scan in its folder would use the kit's settings, such as another Redis.
"""

import errno
import os
import pwd
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from grp import getgrgid
from io import StringIO
from pathlib import Path

from safeurl.errors import ConfigError
from safeurl.permissions import user_name
from safeurl.settings import Settings

#: The variable with the name of the file. Only the environment may set it, not a settings file.
VARIABLE = "SAFEURL_ENV_FILE"
#: The value of that variable for no file, which units use because they have settings already.
NO_FILE = "none"
#: The settings file of the units, for commands that an administrator runs.
SYSTEM_FILE = Path("/etc/safeurl/safeurl.env")
_NAME = ".env"
#: A settings file has a few kB. A longer one is another file, or has no end.
_MAX_BYTES = 1024 * 1024
#: More steps than a path can have: the kernel accepts 4,096 characters and 40 symlinks.
_MAX_STEPS = 10_000
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def checkout() -> Path | None:
    """Return the folder of SafeURL's own checkout, if this package is run from one."""
    folder = Path(__file__).resolve().parents[2]
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return folder if project.get("project", {}).get("name") == "safeurl" else None


def find(
    environ: Mapping[str, str], *, checkout: Callable[[], Path | None] = checkout
) -> Path | None:
    """Return the file to read; None if there is none or none shall be read."""
    named = environ.get(VARIABLE, "")
    if named == NO_FILE:
        return None
    if named:
        return Path(named).expanduser().absolute()
    return next((path for path in _usual(environ, checkout()) if _is_there(path)), None)


def read(path: Path) -> str:
    """Return the text of a file that only we and root can have written; else raise ConfigError."""
    try:
        # Without O_NONBLOCK, opening a FIFO would block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError((f"{path} cannot be read: {error.strerror}.",)) from error
    try:
        opened = os.fstat(handle)
        faults = (*_file_faults(path, opened), *_path_faults(path, opened))
        # A regular file returns all requested bytes unless it ends before.
        content = b"" if faults else os.read(handle, _MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError((f"{path} cannot be read: {error.strerror}.",)) from error
    finally:
        os.close(handle)
    if faults:
        raise ConfigError(faults)
    if len(content) > _MAX_BYTES:
        raise ConfigError((f"{path} is not a settings file: it is larger than 1 MiB.",))
    try:
        # Line ends are normalised, because the parser would count those of Windows twice.
        text = StringIO(content.decode(), newline=None).read()
    except UnicodeDecodeError as error:
        raise ConfigError((f"{path} is not UTF-8 text.",)) from error
    if "\0" in text:
        raise ConfigError((f"{path} is not text: it holds a NUL.",))
    return text


def is_readable(path: Path) -> bool:
    """Return whether this user may read the file; a file with secrets may be only for root."""
    return os.access(path, os.R_OK)


def passed_over(used: Path | None) -> bool:
    """Return whether the current folder has a `.env` that is not the used file."""
    here = Path(_NAME)
    try:
        return here.is_file() and not (used is not None and here.samefile(used))
    except OSError:
        return False


def _usual(environ: Mapping[str, str], ours: Path | None) -> Iterator[Path]:
    """Yield the paths at which a file is searched, in this order."""
    if ours is not None:
        yield ours / _NAME
    state = environ.get("SAFEURL_STATE_DIR") or Settings.model_fields["state_dir"].default
    with suppress(RuntimeError):  # the user of `~` does not exist; the settings report this
        # A relative path would depend on the current folder.
        if (folder := Path(state).expanduser()).is_absolute():
            yield folder / _NAME
    yield SYSTEM_FILE


def _is_there(path: Path) -> bool:
    """Return whether a file of this name exists; a folder `.env` is a virtual environment."""
    return os.path.lexists(path) and not path.is_dir()


def _file_faults(path: Path, info: os.stat_result) -> Iterator[str]:
    if not stat.S_ISREG(info.st_mode):
        yield f"{path} is not a regular file, so its settings are not read. Name another one."
        return
    if not _is_ours(info):
        yield (
            f"{path} belongs to {user_name(info.st_uid)}, so its settings are not read. "
            f"If they are yours: `chown {_me()} {path}`."
        )
    if info.st_mode & _OTHERS_WRITE:
        yield (
            f"{path} can be written by others, so its settings are not read. "
            f"If they are yours: `chmod go-w {path}`."
        )


def _path_faults(path: Path, opened: os.stat_result) -> Iterator[str]:
    """Yield the folders and symlinks by which other users could replace the file."""
    info = opened
    try:
        for each in _path_parts(path):
            info = each.lstat()
            if stat.S_ISDIR(info.st_mode):
                yield from _one_folder(each, info)
            elif stat.S_ISLNK(info.st_mode) and not _is_ours(info):
                yield f"{each} is a symlink of {user_name(info.st_uid)}; name the file itself."
    except OSError as error:
        yield f"{path} cannot be judged: {error.strerror}."
    if not os.path.samestat(info, opened):
        yield f"{path} was exchanged while it was read. Try again."


def _path_parts(path: Path) -> Iterator[Path]:
    """Yield each folder and symlink that leads to the file, and the file itself.

    The path is resolved step by step, as the kernel does. A symlink may lead to another one, in a
    folder that is a parent neither of the given path nor of the file.
    """
    place, left = Path("/"), _steps(path)
    yield place
    for _ in range(_MAX_STEPS):
        if not left:
            return
        step = left.pop()
        found = place.parent if step == ".." else place / step
        yield found
        if not found.is_symlink():
            place = found
            continue
        target = found.readlink()
        place = Path("/") if target.is_absolute() else place
        left += _steps(target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _steps(path: Path) -> list[str]:
    """Return the names of the path in reverse order."""
    return [part for part in reversed(path.parts) if part != path.anchor]


def _one_folder(folder: Path, info: os.stat_result) -> Iterator[str]:
    if not _is_ours(info):
        yield (
            f"{folder} belongs to {user_name(info.st_uid)}, who could exchange the settings file "
            f"below it. Move the file, or `chown {_me()} {folder}`."
        )
    # In a sticky folder no user can replace a file of another user, and the owner was checked.
    elif _others_write(folder, info) and not info.st_mode & stat.S_ISVTX:
        yield (
            f"{folder} can be written by others, who could exchange the settings file below it: "
            f"`chmod go-w {folder}`."
        )


def _others_write(folder: Path, info: os.stat_result) -> bool:
    """Return whether other users may write to the folder, as its group or as everybody."""
    if info.st_mode & stat.S_IWOTH:
        return True
    if not info.st_mode & stat.S_IWGRP:
        return False
    # With an access list, these bits are the rights of its most powerful user or group.
    return _has_access_list(folder) or not _is_private_group(info.st_gid)


def _has_access_list(folder: Path) -> bool:
    try:
        return bool(os.getxattr(folder, "system.posix_acl_access"))
    except OSError:  # it has none, or its file system does not support them
        return False


def _is_private_group(gid: int) -> bool:
    """Return whether our user is the group's only member; many systems create such groups."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), getgrgid(gid)
    except KeyError:
        return False
    return user.pw_gid == gid and group.gr_name == user.pw_name and not group.gr_mem


def _is_ours(info: os.stat_result) -> bool:
    return info.st_uid in {0, os.geteuid()}


def _me() -> str:
    return user_name(os.geteuid())
