"""The doctor's line about the control socket: its owner, its mode, and a test as nobody."""

import os
from pathlib import Path

import pytest

from safeurl.settings import Settings
from tests.support.egress import GatewayProcess
from tests.support.user import needs_root
from worker.doctor.checks.gateway_control import ControlAttempt, control_finding, control_socket
from worker.doctor.finding import Status
from worker.egress.gateway.peers import NOBODY
from worker.egress.protocol import CONTROL_NAME


@pytest.mark.parametrize(
    ("owner", "mode", "served", "status"),
    [
        (0, 0o600, False, Status.PASS),
        (65_521, 0o660, None, Status.PASS),
        (65_521, 0o660, True, Status.FAIL),
        (NOBODY, 0o600, False, Status.FAIL),
        (0, 0o666, False, Status.WARN),
        (0, 0o602, None, Status.WARN),
    ],
)
def test_owner_mode_and_trial_are_judged(
    owner: int, mode: int, *, served: bool | None, status: Status
) -> None:
    """A sandbox's user that owns it or is served is a failure; a socket for all is a warning."""
    assert control_finding(owner, mode, ControlAttempt(NOBODY, served)).status is status


@needs_root
def test_a_gateway_in_use_refuses_nobody(tmp_path: Path) -> None:
    """The line also reports a gateway whose modes let every user connect."""
    with GatewayProcess(tmp_path) as gateway:
        settings = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path)})
        fine = control_socket(settings)
        assert (fine.status, "the user nobody is refused" in fine.detail) == (Status.PASS, True)
        (gateway.egress_dir / CONTROL_NAME).chmod(0o666)
        assert control_socket(settings).status is Status.WARN
        os.chown(gateway.egress_dir / CONTROL_NAME, NOBODY, NOBODY)
        assert control_socket(settings).status is Status.FAIL


def test_without_a_gateway_the_line_says_so(tmp_path: Path) -> None:
    """It is not a failure, because the worker starts a gateway."""
    settings = {"SAFEURL_STATE_DIR": str(tmp_path)}
    assert control_socket(Settings.read(settings)).status is Status.WARN
    bridged = Settings.read(settings | {"CONTAINER_NETWORK": "bridge"})
    assert control_socket(bridged).status is Status.PASS
