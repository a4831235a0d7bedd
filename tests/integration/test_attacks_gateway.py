"""Attacks on the egress gateway by an attacker in a sandbox, or by a user of the host.

Each uses the gateway's real processes, with bytes and descriptors that no library sends.
"""

import json
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from safeurl.model.egress_evidence import EgressDecision
from tests.support.dns import DnsServer
from tests.support.egress import (
    LOOPBACK,
    TIMEOUT_S,
    GatewayProcess,
    accept,
    connect,
    connect_head,
    lab_policy,
    read_all,
    read_head,
    tunnel,
    where_of,
)
from tests.support.hello import body, extension, hello, message, record
from tests.support.user import STRANGER, needs_root, open_folder, run_as
from worker.egress.protocol import CONTROL_NAME, FORBIDDEN, LOCK_NAME, EgressPolicy

_LENIENT = EgressPolicy(allow_cidrs=LOOPBACK.allow_cidrs, allow_sni_mismatch=True)
_EARLY_DATA = 42
_HEARTBEAT = record(b"\x01\x00\x00" + bytes(16), 0x18)
_DATA = record(b"GET / HTTP/1.1", 0x17)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Start a gateway to which `site.test` is this machine."""
    with DnsServer() as dns:
        dns.add("site.test", "127.0.0.1")
        settings = {"EGRESS_RESOLVER": f"127.0.0.1:{dns.port}"}
        with GatewayProcess(tmp_path_factory.mktemp("egress"), settings) as running:
            yield running


def _say(
    gateway: GatewayProcess, server: socket.socket, policy: EgressPolicy, said: bytes
) -> tuple[bytes, EgressDecision]:
    """Send this in a tunnel to `site.test`; return the received bytes and the record."""
    socket_id, directory = gateway.open(policy)
    connection, _ = tunnel(directory, f"site.test:{server.getsockname()[1]}")
    with connection, accept(server) as accepted:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        arrived = read_all(accepted)
    (decision,) = gateway.close(socket_id).decisions
    return arrived, decision


@pytest.mark.parametrize(
    "later",
    [hello(b"site.test"), record(message(body())), hello(b"third.test")],
    ids=["the host", "nobody", "a third"],
)
def test_a_later_hello_does_not_hide_whom_the_first_one_named(
    named: GatewayProcess, server: socket.socket, later: bytes
) -> None:
    """Early data is answered before a second hello, which could hide its target."""
    said = hello(b"other.test", extension(_EARLY_DATA)) + _DATA + later
    arrived, decision = _say(named, server, _LENIENT, said)
    assert arrived == said
    assert (decision.allowed, decision.sni) == (True, "other.test")


def test_a_later_hello_without_a_name_leaves_the_first_ones_on_record(
    named: GatewayProcess, server: socket.socket
) -> None:
    """The record keeps it also if both names are allowed."""
    said = hello(b"site.test") + record(message(body()))
    arrived, decision = _say(named, server, LOOPBACK, said)
    assert (arrived, decision.sni) == (said, "site.test")


def test_a_heartbeat_does_not_end_the_wait_for_a_second_hello(
    named: GatewayProcess, server: socket.socket
) -> None:
    """Servers that support heartbeats skip them, and then read the hello after them."""
    own, other = hello(b"site.test", extension(15, b"\x01")), hello(b"other.test")
    arrived, decision = _say(named, server, LOOPBACK, own + _HEARTBEAT + other)
    assert other not in arrived
    assert (decision.allowed, decision.rule) == (False, "sni_mismatch")


_SECOND = b"GET http://hidden.test/ HTTP/1.1\r\nHost: hidden.test\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "framing", "sent"),
    [
        ("GET", "", b""),
        ("POST", "Content-Length: 5\r\n", b"hello"),
        ("POST", "Content-Length: 0\r\n", b""),
        ("POST", "Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        ("POST", "Transfer-Encoding: chunked\r\n", b"0\r\nContent-Length: 57\r\nHost: b\r\n\r\n"),
        ("POST", "Transfer-Encoding: chunked\r\n", b"0;x=\r\nX: y\r\n\r\n"),
        ("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n", b""),
        ("GET", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b""),
    ],
)
def test_a_request_hidden_behind_another_one_goes_nowhere(
    gateway: GatewayProcess, server: socket.socket, method: str, framing: str, sent: bytes
) -> None:
    """It is in the same packet, after each kind of body, and after a request to upgrade."""
    socket_id, directory = gateway.open()
    head = f"{method} http://{where_of(server)}/ HTTP/1.1\r\nHost: x\r\n{framing}\r\n".encode()
    with connect(directory) as client:
        client.sendall(head + sent + _SECOND)
        with accept(server) as accepted:
            arrived = _read_request(accepted)
            accepted.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            accepted.shutdown(socket.SHUT_WR)
            arrived += read_all(accepted)
    assert b"hidden.test" not in arrived
    assert b"upgrade" not in arrived.lower()
    assert arrived.count(b" HTTP/1.1\r\n") == 1
    assert gateway.close(socket_id).requests == 1


def _read_request(accepted: socket.socket) -> bytes:
    """Read up to the end of the head, including bytes after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += accepted.recv(65536)
    return data


@pytest.mark.parametrize("where", ["head", "body", "tunnel"])
def test_descriptors_that_come_along_are_not_kept(
    gateway: GatewayProcess, server: socket.socket, where: str
) -> None:
    """A sandbox cannot fill its process' table of files, nor make it keep a file open."""
    _, directory = gateway.open()
    with connect(directory) as client, ExitStack() as stack:
        if where == "tunnel":
            client.sendall(connect_head(where_of(server)))
            assert read_head(client).status == 200
        elif where == "body":
            head = f"POST http://{where_of(server)}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
            client.sendall(f"{head}\r\n".encode())
        if where != "head":
            stack.enter_context(accept(server))
        ours, passed = os.pipe()
        with os.fdopen(ours, "rb") as reader:
            socket.send_fds(client, [b"CONNECT" if where == "head" else b"a"], [passed] * 200)
            os.close(passed)
            # The end of the pipe: no process has its other side open.
            assert select.select([reader], [], [], TIMEOUT_S)[0]
            assert reader.read() == b""


def test_a_process_holds_nothing_of_another_sandbox_nor_of_the_gateway(
    tmp_path: Path,
) -> None:
    """An attacker in the process of a sandbox finds only the socket of this sandbox."""
    with GatewayProcess(tmp_path) as gateway:
        before = {each.pid for each in gateway.processes()}
        for _ in range(3):
            gateway.open()
        gateway_sockets, spawner_sockets = (_sockets(each) for each in sorted(before))
        members = [each.pid for each in gateway.processes() if each.pid not in before]
        held = [_sockets(each) for each in members]
        assert len(members) == 3
        for index, own in enumerate(held):
            assert own
            others = [each for at, each in enumerate(held) if at != index]
            assert not own & set().union(gateway_sockets, spawner_sockets, *others)
            assert not {each for each in _files(members[index]) if each.endswith(LOCK_NAME)}


def _files(pid: int) -> set[str]:
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        # The process may close a descriptor meanwhile, such as one of the control socket.
        with suppress(FileNotFoundError):
            if int(each.name) > 2:
                found.add(str(each.readlink()))
    return found


def _sockets(pid: int) -> set[str]:
    return {each for each in _files(pid) if each.startswith("socket:")}


def test_connections_side_by_side_share_one_cap(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """Tunnels and plain requests together get no more than one of them may get."""
    cap, each_b, count = 40_000, 10_000, 8
    socket_id, directory = gateway.open(lab_policy(max_bytes_in=cap))
    plain = f"GET http://{where_of(server)}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with ExitStack() as stack:
        pairs = []
        for number in range(count):
            client = stack.enter_context(connect(directory))
            client.sendall(plain if number % 2 else connect_head(where_of(server)))
            pairs.append((client, stack.enter_context(accept(server))))
        for client, accepted in pairs[::2]:
            assert read_head(client).status == 200
            accepted.sendall(b"a" * each_b)
        for _, accepted in pairs[1::2]:
            accepted.sendall(b"a" * each_b)
        for _, accepted in pairs:
            accepted.shutdown(socket.SHUT_WR)
        taken = 0
        for client, _ in pairs:
            client.shutdown(socket.SHUT_WR)
            taken += len(read_all(client))
    assert taken <= cap
    assert gateway.close(socket_id).bytes_in == taken


#: Becomes a user who is root of a namespace, as any may be, and claims to be root of the host.
_ROOT_OF_ITS_OWN = """
import ctypes, json, os, socket, struct, sys
control, uid = sys.argv[1], sys.argv[2]
(is_out, tell_out), (is_mapped, tell_mapped) = os.pipe(), os.pipe()
pid = os.fork()
if pid:
    os.close(tell_out)
    os.read(is_out, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write(f"0 {uid} 1")
    os.write(tell_mapped, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
if ctypes.CDLL(None).unshare(0x10000000):  # CLONE_NEWUSER
    sys.exit("no user namespace")
os.write(tell_out, b"x")
os.read(is_mapped, 1)
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
with socket.socket(socket.AF_UNIX) as asked:
    asked.settimeout(20)
    asked.connect(control)
    claim = struct.pack("3i", os.getpid(), os.geteuid(), os.getegid())
    asked.sendmsg([b'{"op":"create"}\\n'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, claim)])
    print(json.dumps([os.geteuid(), json.loads(asked.makefile().readline())]))
"""


@needs_root
def test_root_of_a_user_namespace_is_not_root_to_the_gateway() -> None:
    """Any user of a host may be root of a namespace; the gateway sees the user on the host."""
    with open_folder() as folder, GatewayProcess(folder) as gateway:
        gateway.egress_dir.chmod(0o777)
        control = gateway.egress_dir / CONTROL_NAME
        control.chmod(0o777)
        before = {each.pid for each in gateway.processes()}
        uid, said = json.loads(run_as(0, 0, _ROOT_OF_ITS_OWN, str(control), str(STRANGER)))
        assert (uid, said["code"]) == (0, FORBIDDEN)
        assert {each.pid for each in gateway.processes()} == before
