"""A compromised gateway cannot choose what the worker mounts into a sandbox."""

import asyncio
import json
from pathlib import Path

import pytest

from safeurl.errors import EgressUnavailableError
from safeurl.ports.egress import EgressEndpoint
from worker.egress.client.client import EgressClient
from worker.egress.protocol import CONTROL_NAME, SOCKETS_NAME

_ID = "0123456789abcdef"


async def _create(folder: Path, **answer: str) -> EgressEndpoint:
    """Request a socket from a gateway that always sends this response."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"answer": "created", **answer}).encode() + b"\n")
        await writer.drain()
        writer.close()

    async with asyncio.timeout(20), await asyncio.start_unix_server(serve, folder / CONTROL_NAME):
        return await EgressClient(folder).create()


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    """Return the folder of the sockets' folders."""
    made = tmp_path / SOCKETS_NAME
    made.mkdir()
    return made


async def test_the_worker_knows_the_folder_by_itself(sockets: Path) -> None:
    """It is the folder of that name in the gateway's folder, as an absolute path."""
    (sockets / _ID).mkdir()
    expected = EgressEndpoint(id=_ID, directory=f"{sockets}/{_ID}")
    assert await _create(sockets.parent, id=_ID) == expected


@pytest.mark.parametrize(
    "answer", [{"id": _ID, "directory": "/run"}, {"id": "../../run"}, {"id": _ID + "/"}, {}]
)
async def test_a_path_is_not_taken_from_the_gateway(sockets: Path, answer: dict[str, str]) -> None:
    """Neither in an extra field nor in an id."""
    (sockets / _ID).mkdir()
    with pytest.raises(EgressUnavailableError):
        await _create(sockets.parent, **answer)


async def test_a_link_is_no_folder_to_mount(tmp_path: Path) -> None:
    """Neither a socket's folder nor their parent may be a link; a missing folder is an error."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / _ID).mkdir(parents=True)
    sockets = tmp_path / SOCKETS_NAME
    sockets.symlink_to(elsewhere)
    with pytest.raises(EgressUnavailableError, match="not a folder"):
        await _create(tmp_path, id=_ID)
    sockets.unlink()
    sockets.mkdir()
    with pytest.raises(EgressUnavailableError, match="no egress socket"):
        await _create(tmp_path, id=_ID)
    (sockets / _ID).symlink_to(elsewhere)
    with pytest.raises(EgressUnavailableError, match="not a folder"):
        await _create(tmp_path, id=_ID)
