"""Being another user for a while, in a folder that everybody may enter. Needs root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from safeurl.adapters.sql.schema import migrations, schema_sql

#: Users and groups that no system has given a name.
SERVICE, SERVICE_GROUP, STRANGER = 61_234, 61_235, 61_236

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be that user, without any of root's rights; every thread of this process is."""
    # Read while we are root: our checkout may lie where nobody else may enter.
    schema_sql()
    migrations()
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(user, user, 0)
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder; pytest's own are below one that only root may enter."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
