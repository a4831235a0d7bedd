"""Being another user for a while, in a folder that everybody may enter. Needs root."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from safeurl.adapters.sql.schema.shipped import migrations, schema_sql

#: Users and groups that no system has given a name.
SERVICE, SERVICE_GROUP, STRANGER = 61_234, 61_235, 61_236

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")


@contextmanager
def acting_as(user: int, group: int | None = None) -> Iterator[None]:
    """Become this user, without any of root's rights; all threads of the process do.

    Without a group, the user's own one is used.
    """
    group = user if group is None else group
    # Read while we are root, because only our user may read the checkout.
    schema_sql()
    migrations()
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(group, group, 0)
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


def command_as(uid: int, gid: int, program: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a Python program as this user and group, with no other right."""
    return (
        *(shutil.which("setpriv") or "setpriv", f"--reuid={uid}", f"--regid={gid}"),
        *("--clear-groups", "--no-new-privs", sys.executable, "-c", program, *arguments),
    )


def run_as(uid: int, gid: int, program: str, *arguments: str, given: str = "") -> str:
    """Run a Python program as this user to its end; return its output."""
    done = subprocess.run(
        command_as(uid, gid, program, *arguments),
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder; pytest's own are below one that only root may enter."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
