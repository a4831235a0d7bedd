"""How the fetcher's own code interprets the responses of a real gateway."""

import socket
import time
from pathlib import Path

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.gateway import GatewayDialler
from fetcher.http.hop_recorder import HopRecorder
from safeurl.model.report import Refusal
from safeurl.state import Outcome
from tests.support.egress import GatewayProcess, lab_policy, tunnel, where_of
from worker.egress.protocol import SOCKET_NAME, EgressPolicy
from worker.egress.unix_socket import short_path


def _dial(directory: Path, host: str, port: int) -> tuple[FetchFailedError, Refusal | None]:
    """Return the fetcher's error of a connect, and the refusal that it records."""
    recorder = HopRecorder(url=f"http://{host}:{port}/", host=host, port=port, via="start")
    with (
        short_path(directory, SOCKET_NAME) as path,
        pytest.raises(FetchFailedError) as caught,
    ):
        GatewayDialler(path).dial(recorder, Deadline.after(20.0)).close()
    return caught.value, recorder.refusal


def test_only_an_address_is_refused_as_one(gateway: GatewayProcess) -> None:
    """A refusal by an address rule is recorded as a refusal with this rule."""
    failure, refusal = _dial(gateway.open(EgressPolicy())[1], "10.0.0.1", 80)
    assert failure.result.outcome is Outcome.ADDRESS_REFUSED
    assert refusal is not None
    assert refusal.rule == "private"


def test_a_cap_says_nothing_about_the_address(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """The connection fails with the cap's name; the page is not blamed."""
    host, port = server.getsockname()
    directory = gateway.open(lab_policy(max_concurrent=1))[1]
    with tunnel(directory, where_of(server))[0]:
        failure, refusal = _dial(directory, host, port)
    assert (failure.result.outcome, refusal) == (Outcome.CONNECT_REFUSED, None)
    assert str(failure) == (
        "The egress gateway opens no more connections for this scan (cap_concurrent)."
    )


def test_a_socket_of_no_scan_says_nothing_about_the_address(gateway: GatewayProcess) -> None:
    """A socket that was never bound is not the page's fault either."""
    failure, refusal = _dial(Path(gateway.create().directory), "192.0.2.1", 80)
    assert (failure.result.outcome, refusal) == (Outcome.CONNECT_REFUSED, None)


def test_the_end_of_the_time_is_a_timeout(gateway: GatewayProcess, server: socket.socket) -> None:
    """After the gateway's deadline the result is a timeout; the address is not blamed."""
    host, port = server.getsockname()
    directory = gateway.open(lab_policy(), deadline_s=0.01)[1]
    time.sleep(0.1)
    failure, refusal = _dial(directory, host, port)
    assert (failure.result.outcome, refusal) == (Outcome.FETCH_TIMEOUT, None)
