"""The key of the pool's members changes with all that they are made from."""

from dataclasses import fields, replace
from typing import Any

import pytest

from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.key import pool_key

_SETTINGS = SandboxSettings(image="safeurl-fetcher:latest", instance="main", network="none")
_OTHERS: dict[str, Any] = {
    "image": "other",
    "instance": "other",
    "memory_mb": 1024,
    "cpus": 2.0,
    "pids_limit": 65,
    "tmpfs_mb": 32,
    "uids": range(70000, 70100),
    "runtime": "runsc",
    "network": "bridge",
    "dns": ("192.0.2.53",),
}


@pytest.mark.parametrize("name", sorted({each.name for each in fields(SandboxSettings)} - {"uid"}))
def test_each_setting_changes_the_key(name: str) -> None:
    """A worker with another setting must not get such a sandbox."""
    assert pool_key(replace(_SETTINGS, **{name: _OTHERS[name]})) != pool_key(_SETTINGS)


def test_the_user_id_of_one_sandbox_does_not_change_it() -> None:
    """Each member has a user id of its own."""
    assert pool_key(replace(_SETTINGS, uid=_SETTINGS.uids[7])) == pool_key(_SETTINGS)
