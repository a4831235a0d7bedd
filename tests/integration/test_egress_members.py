"""The processes of sockets: a busy, hung or ended process does not affect the others."""

import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from safeurl.errors import EgressLostError
from tests.support.egress import (
    TIMEOUT_S,
    GatewayProcess,
    connect,
    connect_head,
    has_ended,
    lab_policy,
    refusal,
    tunnel,
    until,
    where_of,
)
from tests.support.floods import flooding, hostile_servers, tiny_chunks

_ROOMY = lab_policy(max_connections=2**31, max_bytes_in=2**40, max_bytes_out=2**40)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GatewayProcess]:
    """Run a gateway whose processes a test may kill or stop."""
    gateway = GatewayProcess(tmp_path)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()


def _opened(gateway: GatewayProcess, deadline_s: float = 60.0) -> tuple[str, Path, psutil.Process]:
    before = {each.pid for each in gateway.processes()}
    socket_id, directory = gateway.open(_ROOMY, deadline_s)
    (member,) = [each for each in gateway.processes() if each.pid not in before]
    return socket_id, directory, member


def _is_refused(directory: Path) -> bool:
    try:
        connect(directory).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_deadline_comes_in_the_middle_of_a_flood(own: GatewayProcess) -> None:
    """The flood is cut at its own deadline, and the control socket responds all the time."""
    with hostile_servers() as ports:
        socket_id, directory, member = _opened(own, deadline_s=3.0)
        with flooding(tiny_chunks, directory, ports) as flood:
            flood.go_on()
            until(lambda: member.nice() > psutil.Process(own.process.pid).nice())
            assert own.evidence(socket_id).decisions[0].outcome in {"", "cap_time"}
            until(lambda: own.evidence(socket_id).decisions[0].outcome == "cap_time")
    evidence = own.close(socket_id)
    assert (evidence.scan, evidence.expired) == ("s", False)


def test_a_flood_gets_a_lower_priority_and_others_keep_theirs(own: GatewayProcess) -> None:
    """A process that used much CPU time gets a lower priority; it is not stopped."""
    calm = _opened(own)[2]
    with hostile_servers() as ports:
        _, directory, busy = _opened(own)
        with flooding(tiny_chunks, directory, ports) as flood:
            flood.go_on()
            until(lambda: busy.nice() == calm.nice() + 8)
            flood.rest()
            flood.go_on()
    assert calm.nice() == psutil.Process(own.process.pid).nice()


def test_a_hung_process_is_killed_at_its_deadline(
    own: GatewayProcess, server: socket.socket
) -> None:
    """If a process ends, its tunnels end and its evidence is lost; others continue."""
    other_id, other, _ = _opened(own)
    socket_id, directory, member = _opened(own, deadline_s=1.0)
    connection, _ = tunnel(directory, where_of(server))
    with connection, server.accept()[0] as accepted:
        member.suspend()
        accepted.settimeout(TIMEOUT_S)
        assert own.answers()
        assert refusal(other, "10.0.0.1:80") == "private"
        assert has_ended(accepted)
        assert has_ended(connection)
    with pytest.raises(EgressLostError):
        own.close(socket_id)
    assert not directory.exists()
    assert own.close(other_id).requests == 1


def test_a_killed_process_takes_its_own_socket_along_and_no_other(own: GatewayProcess) -> None:
    """A scan whose evidence is lost gets an error; the evidence of others is complete."""
    other_id, other, _ = _opened(own)
    socket_id, directory, member = _opened(own)
    member.kill()
    with pytest.raises(EgressLostError):
        own.evidence(socket_id)
    until(lambda: _is_refused(directory))
    with pytest.raises(EgressLostError):
        own.close(socket_id)
    assert not directory.exists()
    assert refusal(other, "10.0.0.1:80") == "private"
    assert own.close(other_id).requests == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_gateway(own: GatewayProcess, number: signal.Signals) -> None:
    """The gateway ends in time, also if a process hangs."""
    _opened(own)
    hung = _opened(own)[2]
    hung.suspend()
    processes = own.processes()
    os.kill(own.process.pid, number)
    own.process.wait(TIMEOUT_S)
    _, left = psutil.wait_procs(processes, TIMEOUT_S)
    assert left == []


def test_a_process_serves_one_sandbox_after_another(own: GatewayProcess) -> None:
    """A process is used again after an ordinary sandbox, and keeps nothing of it."""
    socket_id, directory, member = _opened(own)
    assert refusal(directory, "10.0.0.1:80") == "private"
    assert own.close(socket_id).requests == 1
    processes = {each.pid for each in own.processes()}
    for _ in range(5):
        again, folder = own.open(_ROOMY, 60.0)
        assert {each.pid for each in own.processes()} == processes
        assert own.close(again).requests == 0
        assert not folder.exists()
    assert member.is_running()


def test_two_sandboxes_at_a_time_have_two_processes(own: GatewayProcess) -> None:
    """Each socket has a new accounting, whatever its process served before."""
    own.close(_opened(own)[0])
    first, _ = own.open(_ROOMY, 60.0)
    processes = {each.pid for each in own.processes()}
    _, _, member = _opened(own)
    assert member.pid not in processes
    own.close(first)


def test_a_process_whose_sandbox_was_busy_ends(own: GatewayProcess) -> None:
    """A process with a low priority must not serve another scan."""
    with hostile_servers() as ports:
        socket_id, directory, member = _opened(own)
        with flooding(tiny_chunks, directory, ports) as flood:
            flood.go_on()
            until(lambda: member.nice() > psutil.Process(own.process.pid).nice())
        own.close(socket_id)
    until(lambda: member.pid not in {each.pid for each in own.processes()})


def test_a_process_that_was_killed_while_idle_is_replaced(own: GatewayProcess) -> None:
    """The next sandbox gets another process."""
    socket_id, _, member = _opened(own)
    own.close(socket_id)
    member.kill()
    _, directory = own.open(_ROOMY, 60.0)
    assert refusal(directory, "10.0.0.1:80") == "private"


def test_a_gateway_that_can_fork_no_more_ends(own: GatewayProcess) -> None:
    """The gateway ends, so that its supervisor restarts it; without a spawner it has no sockets."""
    gateway, *others = own.processes()
    assert len(others) == 1
    others[0].kill()
    assert gateway.wait(TIMEOUT_S) in {0, None} or own.process.wait(TIMEOUT_S) == 0


def test_a_sandbox_has_descriptors_of_its_own(own: GatewayProcess) -> None:
    """As many as its caps need: one sandbox cannot use up the descriptors of others."""
    limit = _opened(own)[2].rlimit(resource.RLIMIT_NOFILE)[0]
    assert 2 * _ROOMY.caps.max_concurrent < limit < 512


def test_a_sandbox_that_fills_its_backlog_delays_no_other(own: GatewayProcess) -> None:
    """Connections that are not accepted wait at their own socket."""
    _, directory, member = _opened(own)
    other = _opened(own)[1]
    member.suspend()
    held = []
    try:
        for _ in range(64):
            held.append(connect(directory))
            held[-1].sendall(connect_head("10.0.0.1:80"))
        assert refusal(other, "10.0.0.1:80") == "private"
    finally:
        for each in held:
            each.close()
        member.resume()
