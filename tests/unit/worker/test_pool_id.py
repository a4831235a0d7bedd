"""The id of a folder's pools, by which the containers that they have left are found."""

from pathlib import Path

import pytest

from worker.sandbox.pool.client import PoolClient
from worker.sandbox.pool.process import read_id
from worker.sandbox.pool.protocol import ID_NAME


def test_all_pools_of_a_folder_have_the_same_id(tmp_path: Path) -> None:
    """Also those that come later; others may ask for it."""
    assert PoolClient(tmp_path).pool_id() is None
    first = read_id(tmp_path)
    assert read_id(tmp_path) == first == PoolClient(tmp_path).pool_id()


@pytest.mark.parametrize("content", [b"", bytes(16), b"\xff\xfe", b"0123", b"a b", b"0" * 17])
def test_a_damaged_id_is_replaced(tmp_path: Path, content: bytes) -> None:
    """As a loss of power or a full disk leaves it; nobody fails because of it."""
    (tmp_path / ID_NAME).write_bytes(content)
    assert PoolClient(tmp_path).pool_id() is None
    made = read_id(tmp_path)
    assert len(made) == 16
    assert PoolClient(tmp_path).pool_id() == made
