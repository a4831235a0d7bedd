"""The control socket serves its users and refuses every other process of the host."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.egress import GatewayProcess, refusal
from tests.support.user import (
    SERVICE,
    SERVICE_GROUP,
    STRANGER,
    needs_root,
    open_folder,
    run_as,
)
from worker.egress.gateway.peers import NOBODY
from worker.egress.protocol import CONTROL_NAME, FORBIDDEN, SOCKET_NAME, EgressPolicy

pytestmark = needs_root

_ID = "0123456789abcdef"
#: One request of each kind; two sockets exist, one of them bound.
_REQUESTS = (
    {"op": "ping"},
    {"op": "create"},
    {"op": "bind", "id": _ID, "scan": "s", "attempt": 1, "deadline_s": 60},
    {"op": "collect", "id": _ID},
    {"op": "close", "id": _ID},
    {"op": "list", "instance": ""},
)
#: Sends each line of its standard input over its own connection, and prints the responses.
_COMMAND = """
import socket, sys
for line in sys.stdin:
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(20)
        control.connect(sys.argv[1])
        control.sendall(line.encode())
        print(control.makefile().readline().strip(), flush=True)
"""
#: Uses the worker's own client, as any user.
_PING = """
import asyncio, sys
from pathlib import Path
from safeurl.errors import EgressUnavailableError
from worker.egress.client.client import EgressClient
try:
    print(asyncio.run(EgressClient(Path(sys.argv[1])).ping()).pid)
except EgressUnavailableError as error:
    print(error)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that every user may enter."""
    with open_folder() as made:
        yield made


def _opened(gateway: GatewayProcess) -> Path:
    """Let every user reach the control socket, like a folder with too wide a mode."""
    gateway.egress_dir.chmod(0o777)
    control = gateway.egress_dir / CONTROL_NAME
    control.chmod(0o777)
    return control


@pytest.mark.parametrize("uid", [NOBODY, STRANGER])
def test_no_other_user_commands_the_gateway(folder: Path, uid: int) -> None:
    """None of their requests is executed, even if the modes allow the connection."""
    with GatewayProcess(folder) as gateway:
        control = _opened(gateway)
        socket_id, directory = gateway.open(EgressPolicy())
        other = gateway.create()
        lines = "".join(
            json.dumps(each).replace(_ID, other.id if each["op"] == "bind" else socket_id) + "\n"
            for each in _REQUESTS
        )
        said = run_as(uid, uid, _COMMAND, str(control), given=lines)
        answers = [json.loads(each) for each in said.splitlines()]
        assert [each.get("code") for each in answers] == [FORBIDDEN] * len(_REQUESTS)
        assert len(list(directory.parent.iterdir())) == 2
        assert refusal(directory, "10.0.0.1:80") == "private"
        gateway.bind(other.id, EgressPolicy())
        assert gateway.answers()


def test_a_refused_user_gets_the_reason(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The client's message names the allowed users, and the gateway logs the refused one."""
    with GatewayProcess(folder) as gateway:
        _opened(gateway)
        said = run_as(STRANGER, STRANGER, _PING, str(gateway.egress_dir))
        assert str(STRANGER) in said
        assert "EGRESS_CONTROL_USERS" in said
    logged = capfd.readouterr().err
    assert f"egress.control_refused uid={STRANGER}" in logged
    assert logged.count("egress.control_refused") == 1


def test_a_user_of_the_setting_is_served(folder: Path) -> None:
    """A user of the setting needs the folder's group too; the group alone is not enough."""
    shared = folder / "shared"
    shared.mkdir()
    os.chown(shared, 0, SERVICE_GROUP)
    shared.chmod(0o2710)
    settings = {"EGRESS_DIR": str(shared), "EGRESS_CONTROL_USERS": str(SERVICE)}
    with GatewayProcess(folder, settings) as gateway:
        pid = str(gateway.process.pid)
        assert run_as(SERVICE, SERVICE_GROUP, _PING, str(shared)).strip() == pid
        assert "EGRESS_CONTROL_USERS" in run_as(STRANGER, SERVICE_GROUP, _PING, str(shared))
        assert "may not connect" in run_as(STRANGER, STRANGER, _PING, str(shared))


@pytest.mark.parametrize("users", [str(NOBODY), "nobody", f"{SERVICE},{NOBODY}", "no-such-user"])
def test_a_sandboxs_user_cannot_be_configured(folder: Path, users: str) -> None:
    """The gateway does not start."""
    gateway = GatewayProcess(folder, {"EGRESS_CONTROL_USERS": users})
    gateway.start(wait=False)
    try:
        assert gateway.process.wait(20) != 0
    finally:
        gateway.kill()


def test_no_other_user_finds_a_sandboxs_socket(folder: Path) -> None:
    """The gateway restricts the mode of an existing folder when it starts."""
    made = folder / "made"
    made.mkdir()
    made.chmod(0o755)
    with GatewayProcess(folder, {"EGRESS_DIR": str(made)}) as gateway:
        directory = gateway.open(EgressPolicy())[1]
        assert stat.S_IMODE(made.stat().st_mode) == 0o750
        program = (
            "import socket, sys\n"
            "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
            "except PermissionError: print('refused')"
        )
        for uid in (NOBODY, STRANGER):
            assert run_as(uid, uid, program, str(directory / SOCKET_NAME)).strip() == "refused"
