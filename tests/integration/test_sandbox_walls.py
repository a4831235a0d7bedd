"""Hostile code in a real sandbox finds no rights and no secrets, and cannot write or grow."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from safeurl.settings.uids import DEFAULT_UIDS
from safeurl.state import Outcome
from tests.support.images import SOCKET_PATH
from tests.support.sandbox_lab import lab
from worker.attempt.classify import ReportFacts, classify
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.runtime import RUNC

_STATUS = """
import ctypes
import json
keep = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Seccomp")
status = dict(line.rstrip("\\n").split(":", 1) for line in open("/proc/self/status"))
found = {key: status[key].split() for key in keep if key in status}
PR_GET_NO_NEW_PRIVS = 39
found["NoNewPrivs"] = ctypes.CDLL(None).prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
print(json.dumps(found))
"""

_KERNEL = 'print(open("/proc/version").read(), end="")'

_ENVIRON = """
print(open("/proc/self/environ").read().replace("\\0", "\\n"))
"""

_WRITE = """
import json, os
found = {}
for path in ("/x", "/etc/x", "/usr/bin/x", "/root/x", "/var/tmp/x", "/proc/sys/kernel/hostname",
             "/sys/x", "/tmp/x"):
    try:
        with open(path, "w") as file:
            file.write("x")
        found[path] = "written"
    except OSError as error:
        found[path] = type(error).__name__ + ":" + os.strerror(error.errno)
print(json.dumps(found))
"""

_FILL_TMP = """
import json, os
total, error = 0, ""
for number in range(64):
    try:
        with open(f"/tmp/{number}", "wb", buffering=0) as file:
            for _ in range(4):
                total += file.write(bytes(2**20))
    except OSError as failure:
        error = os.strerror(failure.errno)
        break
print(json.dumps({"total": total, "error": error}))
"""

_EXECUTE_TMP = """
import os, subprocess
with open("/tmp/true", "xb", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
    file.write(open("/bin/true", "rb").read())
try:
    subprocess.run(["/tmp/true"], check=True)
    print("ran")
except PermissionError:
    print("refused")
"""

_FORK_BOMB = """
import os, time
born = 0
try:
    while born < 500:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        born += 1
except BlockingIOError:
    pass
print(born, flush=True)
os._exit(0)
"""

_NETWORK = """
import errno, json, socket
routes = open("/proc/net/route").read().splitlines()[1:]
try:
    socket.create_connection(("172.17.0.1", 80), timeout=3).close()
    reached = "connected"
except OSError as error:
    reached = errno.errorcode.get(error.errno, "timeout")
print(json.dumps({"routes": routes, "reached": reached, "names": [socket.gethostname()]}))
"""

_SEARCH = 'print(open("/etc/resolv.conf").read())'

#: Searches every file of /etc and /proc for words, which come in hexadecimal, so that the script
#: does not find itself; and prints the files that the engine writes.
_OVERHEAR = """
import json, os, socket, stat
words = [bytes.fromhex(word) for word in WORDS]
found = {}
def look(path):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            text = os.read(descriptor, 2**20)
            for word in words:
                if word in text:
                    found.setdefault(path, []).append(word.decode())
    except OSError:
        pass
    finally:
        os.close(descriptor)
read = 0
for top in ("/etc", "/proc"):
    for folder, _, names in os.walk(top):
        for name in names:
            # What looks into the process's own memory, where the words are.
            if name not in {"mem", "kcore", "kmsg", "pagemap"}:
                look(os.path.join(folder, name))
                read += 1
shown = {name: open("/etc/" + name).read() for name in ("resolv.conf", "hosts", "hostname")}
print(json.dumps([read, found, shown, [socket.gethostname(), socket.getfqdn(), os.uname()[1]]]))
"""


def output(script: str, **caps: Any) -> str:
    """Return the output of the script in a sandbox that ended by itself."""
    with lab(script, **caps) as runner:
        ran = runner.run()
    assert (ran.exit.error, ran.exit.stopped, ran.exit.exit_code) == (None, None, 0)
    return ran.stdout.decode()


def test_process_has_no_rights(runtime: str) -> None:
    """The fetcher has its own user and no capability, gains none, and runs with seccomp.

    gVisor shows no ambient capabilities, and its filter applies to gVisor itself.
    """
    none = ["0" * 16]
    shown = {"CapAmb": none, "Seccomp": ["2"]} if runtime == RUNC else {"Seccomp": ["0"]}
    found = json.loads(output(_STATUS, runtime=runtime))
    [uid] = found["Groups"]
    assert int(uid) in DEFAULT_UIDS
    assert found == {
        "Uid": [uid] * 4,
        "Gid": [uid] * 4,
        "Groups": [uid],
        "CapInh": none,
        "CapPrm": none,
        "CapEff": none,
        "CapBnd": none,
        "NoNewPrivs": 1,
        **shown,
    }


def test_under_gvisor_the_hosts_kernel_is_out_of_sight(runtime: str) -> None:
    """The kernel below hostile code is the host's under runc and gVisor's under runsc."""
    host = Path("/proc/version").read_text()
    assert (output(_KERNEL, runtime=runtime) == host) == (runtime == RUNC)


def test_environment_is_constant_and_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: str
) -> None:
    """Neither our environment nor the proxies of the user's Docker settings are inside."""
    proxies = {"default": {"httpProxy": "http://user:canary@proxy.invalid:3128"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", os.fspath(tmp_path))
    for name in ("TURSO_AUTH_TOKEN", "REDIS_PASSWORD", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "canary")
    with lab(_ENVIRON, runtime=runtime) as runner:
        seen = runner.run().stdout.decode().split()
    names = {entry.split("=", 1)[0] for entry in seen}
    assert names == {"PATH", "HOSTNAME", "HOME", "LANG"}
    assert not any("canary" in entry for entry in seen)


def test_nothing_but_tmp_can_be_written(runtime: str) -> None:
    """The root file system and the kernel's own file systems are read-only."""
    found = json.loads(output(_WRITE, runtime=runtime))
    assert found.pop("/tmp/x") == "written"  # noqa: S108 - a path inside the sandbox
    assert "written" not in found.values()
    assert found["/var/tmp/x"] == "OSError:Read-only file system"  # noqa: S108 - the same


def test_tmp_is_full_at_its_size(runtime: str) -> None:
    """Filling /tmp ends with an error inside, at the limit."""
    found = json.loads(output(_FILL_TMP, tmpfs_mb=16, runtime=runtime))
    assert found["error"] == "No space left on device"
    assert found["total"] <= 16 * 2**20


def test_nothing_in_tmp_can_be_executed(runtime: str) -> None:
    """A downloaded program cannot be run."""
    assert output(_EXECUTE_TMP, runtime=runtime) == "refused\n"


def test_a_fork_bomb_stops_at_the_process_limit(runtime: str) -> None:
    """At the limit a fork fails, or gVisor itself ends; all children end with the sandbox."""
    with lab(_FORK_BOMB, pids_limit=32, runtime=runtime) as runner:
        ran = runner.run()
    assert (ran.exit.error, ran.exit.stopped) == (None, None)
    if runtime == RUNC:
        assert 1 <= int(ran.stdout) < 32
    else:
        assert (ran.stdout, ran.exit.exit_code) == (b"", 2)
        assert classify(ran.exit, ReportFacts())[0] is Outcome.SANDBOX_CRASHED


def test_without_network_there_is_no_route(runtime: str) -> None:
    """With `none` the bridge's own gateway is unreachable too; under runc no socket opens."""
    found = json.loads(output(_NETWORK, runtime=runtime))
    unreachable = "EAFNOSUPPORT" if runtime == RUNC else "EHOSTUNREACH"
    assert (found["routes"], found["reached"]) == ([], unreachable)
    assert found["names"] == ["sandbox"]


def test_nothing_tells_of_the_hosts_name_and_resolver(runtime: str) -> None:
    """Neither servers, search list and options of its resolver nor its name are visible."""
    host = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    servers = [line[1] for line in host if line[:1] == ["nameserver"]]
    assert servers, "this host has no resolver to hide"
    words = [word.encode().hex() for word in servers]
    script = _OVERHEAR.replace("WORDS", repr(words))
    read, found, shown, names = json.loads(output(script, runtime=runtime))
    assert read > 100
    assert found == {}
    assert names == ["sandbox"] * 3
    lines = [line for line in shown["resolv.conf"].splitlines() if not line.startswith("#")]
    assert lines == ["nameserver 127.0.0.1", "options attempts:1"]
    assert shown["hostname"] == "sandbox\n"
    aliases = {name for line in shown["hosts"].splitlines() for name in line.split()[1:]}
    assert {name for name in aliases if not name.startswith("ip6-")} == {"localhost"}


def test_bridge_uses_the_given_resolver_and_no_search_list() -> None:
    """Short names are not completed to names of the operator's network."""
    lines = output(_SEARCH, network="bridge", dns=("192.0.2.53",)).splitlines()
    assert "nameserver 192.0.2.53" in lines
    assert not any(
        line.startswith("search") and line.split()[1:] not in ([], ["."]) for line in lines
    )


def test_the_sandbox_ignores_the_users_docker_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The CLI's context and DOCKER_HOST do not choose the engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    with lab("pass") as runner:
        assert asyncio.run(DockerSandbox(runner.settings, SOCKET_PATH).ping())
