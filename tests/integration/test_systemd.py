"""Our units under a real systemd: up, stopped, killed, hung, recycled, and rated."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import PageServer, Reply, Request, html
from tests.support.systemd import UNITS, SystemdHost, until
from tests.support.systemd_container import systemd_host

WORKER = "safeurl-worker"
#: What the units are rated, the lower the better.
RATINGS = Path(__file__).parents[2] / "docker/systemd/security.txt"
#: Releases of systemd weigh a little differently.
RATING_TOLERANCE = 0.3
#: More starts than systemd allows a unit in 10 s by default.
KILLS = 7
#: Kills the main process of each unit, all units at a time, as soon as there is a new one.
KILL = f"""
for unit; do (
    killed=0 last=0
    while [ $killed -lt {KILLS} ]; do
        pid=$(systemctl show --value --property=MainPID $unit)
        if [ $pid != 0 ] && [ $pid != $last ]; then
            kill -9 $pid && last=$pid killed=$((killed + 1))
        fi
        sleep 0.1
    done
) & done
wait
"""
#: Enough for what a test asks of a loaded host while the scan runs.
SLOW_S = 8.0
TEXT = "<p>How to grow tomatoes on a balcony: sun, water, and patience.</p>"
#: The group that may enter the gateway's folder.
EGRESS = "safeurl-egress"
#: Asks the gateway who is there, and prints the answer.
ASK = """
import socket
control = socket.socket(socket.AF_UNIX)
control.settimeout(10)
control.connect({control!r})
control.sendall(b'{{"op": "ping"}}\\n')
print(control.makefile().readline())
"""
INSTALLED = "/opt/safeurl/docker/systemd"
#: Connects as what runs in the control group that the argument names, to where the API listens.
CONNECT = """
for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ ! -e $root$1/cgroup.procs ] || { echo $$ >$root$1/cgroup.procs && break; }
done
python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8321), timeout=1)'
"""


class Web(PageServer):
    """Pages for the scans; during the slow ones a test can act."""

    def begin_scan(self, host: SystemdHost) -> str:
        """Submit a page that is slow the first time; return the scan's id once it is open."""
        asked = threading.Event()
        path = f"/slow/{len(self.routes)}"

        def slow_once(request: Request) -> Reply:
            if not asked.is_set():
                asked.set()
                request.sleep(SLOW_S)
            return html("<title>Slow</title>")

        self.routes[path] = slow_once
        scan = host.submit(self.url(path))
        if not asked.wait(30):
            raise TimeoutError(f"the page was never asked for: {host.journal()}")
        return scan


@pytest.fixture(scope="module")
def booted() -> Iterator[SystemdHost]:
    """Boot one host for all tests here."""
    with systemd_host() as host:
        yield host


@pytest.fixture(scope="module")
def web(booted: SystemdHost) -> Iterator[Web]:
    """Serve pages that the host's gateway can reach."""
    with Web({"/": lambda _: html(f"<title>Garden</title>{TEXT}")}, host=booted.outside) as server:
        yield server


@pytest.fixture
def host(booted: SystemdHost) -> SystemdHost:
    """Return the host with everything up; each test leaves it so."""
    until(booted.is_well, 30, booted.journal)
    return booted


def restarts(host: SystemdHost) -> dict[str, int]:
    """Return how often systemd has started each unit again."""
    return {unit: int(host.show(unit, "NRestarts")) for unit in UNITS}


def test_systemd_finds_no_fault_in_the_units(host: SystemdHost) -> None:
    """`systemd-analyze verify` is silent, with the commands and users in place."""
    units = [f"{INSTALLED}/{unit}.service" for unit in UNITS]
    assert host.check("systemd-analyze", "verify", "--man=no", *units) == ""


def test_the_units_are_rated_as_recorded(host: SystemdHost) -> None:
    """No unit is more exposed than the record says, and the record is current."""
    lines = [line for line in RATINGS.read_text().splitlines() if not line.startswith("#")]
    recorded = {unit: float(rating) for unit, rating in map(str.split, lines)}
    assert recorded.keys() == set(UNITS)
    for unit, most in recorded.items():
        said = host.check("systemd-analyze", "security", "--no-pager", unit)
        rating = float(re.findall(r"exposure level for \S+: ([\d.]+)", said)[0])
        assert most - RATING_TOLERANCE <= rating <= most, unit


def test_a_scan_from_the_command_line(host: SystemdHost, web: Web) -> None:
    """Power-on, `safeurl submit --wait`, verdict."""
    said = host.safeurl("submit", "--wait", web.url("/"))
    assert said.status == 0, said.text
    assert restarts(host) == dict.fromkeys(UNITS, 0)


def test_the_kernel_is_the_second_wall(host: SystemdHost) -> None:
    """`IPAddressDeny=` is effective for programs that run like the gateway, and for no others."""
    outside = host.run("sh", "-c", CONNECT, "sh", "/none")
    inside = host.run("sh", "-c", CONNECT, "sh", host.show("safeurl-gateway", "ControlGroup"))
    assert (outside.status, inside.status) == (0, 1)
    assert "TimeoutError" in inside.text


def test_a_stop_in_mid_scan(host: SystemdHost, web: Web) -> None:
    """The stop waits for the scan, which completes, and leaves nothing running."""
    scan = web.begin_scan(host)
    assert len(host.sandboxes()) == 1
    limit_s = seconds(host.show(WORKER, "TimeoutStopUSec"))
    host.check("systemctl", "stop", WORKER, timeout_s=limit_s)
    assert host.show(WORKER, "Result") == "success"
    assert host.state(scan) == "COMPLETED"
    # The pool of the unit has removed what waited for scans.
    assert host.containers() == []
    host.check("systemctl", "start", WORKER)


def test_a_killed_worker_comes_back_and_its_scan_ends(host: SystemdHost, web: Web) -> None:
    """Kill -9 in mid-scan costs an attempt, not the scan."""
    scan, pid = web.begin_scan(host), host.main_pid(WORKER)
    assert len(host.sandboxes()) == 1
    host.kill(pid)
    host.await_new(WORKER, pid)
    host.completed(scan)
    until(lambda: host.sandboxes() == [], 30)
    host.recovered(web.url("/"))


def test_killed_roles_come_back_without_systemd(host: SystemdHost, web: Web) -> None:
    """The supervisor starts each of its children again; the unit never notices."""
    main, before = host.main_pid(WORKER), host.children(WORKER)
    for pid in before:
        host.kill(pid)
    until(lambda: len(host.children(WORKER) - before) == len(before), 20)
    host.recovered(web.url("/"))
    assert host.main_pid(WORKER) == main


@pytest.mark.parametrize("unit", ["safeurl-api", "safeurl-gateway"])
def test_a_killed_process_comes_back(host: SystemdHost, web: Web, unit: str) -> None:
    """API and gateway are started again, and the worker continues."""
    pid, worker = host.main_pid(unit), host.main_pid(WORKER)
    host.kill(pid)
    host.await_new(unit, pid)
    host.recovered(web.url("/"))
    assert host.main_pid(WORKER) == worker


def test_the_api_cannot_ask_the_gateway(host: SystemdHost) -> None:
    """Not even once a gateway that was started again has made its folder anew."""
    control = host.settings.gateway_dir / "control.sock"
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(control)!r})"
    as_unit = ("nsenter", "--mount", "--target", str(host.main_pid("safeurl-api")), "setpriv")
    api = host.run(*as_unit, *user("safeurl-api"), "--clear-groups", "python3", "-c", connect)
    worker = host.run(*as_unit, *user("safeurl"), f"--groups={EGRESS}", "python3", "-c", connect)
    assert (api.status, worker.status) == (1, 0), (api, worker)
    assert "PermissionError" in api.text


def test_the_control_socket_serves_the_workers_user_alone(host: SystemdHost) -> None:
    """The kernel reports the user; membership of the folder's group is not enough."""
    control = host.settings.gateway_dir / "control.sock"
    ask = ASK.format(control=str(control))
    for name, answer in (
        *(("safeurl", "pong"), ("root", "pong")),
        *(("safeurl-api", "forbidden"), ("nobody", "forbidden"), ("daemon", "forbidden")),
    ):
        groups = f"--groups={EGRESS}"
        said = host.run("setpriv", *user(name), groups, "python3", "-c", ask)
        assert f'"{answer}"' in said.text, (name, said)


def test_worker_and_api_are_two_users(host: SystemdHost, web: Web) -> None:
    """Both write one database by their group, and neither owns the files of the other's program."""
    owners = {
        unit: host.check("stat", "-c", "%U", f"/proc/{host.main_pid(unit)}").strip()
        for unit in (WORKER, "safeurl-api")
    }
    assert owners == {WORKER: "safeurl", "safeurl-api": "safeurl-api"}
    host.completed(host.submit(web.url("/")))
    modes = host.check("sh", "-c", f"stat -c '%a %G %n' {host.settings.database_path}*")
    assert {line.rpartition(" ")[0] for line in modes.splitlines()} == {"660 safeurl"}


def test_systemd_never_gives_up(host: SystemdHost, web: Web) -> None:
    """Killed again and again, each unit is started again."""
    before = restarts(host)
    host.check("sh", "-c", KILL, "sh", *UNITS, timeout_s=60)
    host.recovered(web.url("/"))
    assert restarts(host) == {unit: count + KILLS for unit, count in before.items()}


def test_recycled_workers_are_not_restarts(host: SystemdHost, web: Web) -> None:
    """A worker process that has used up its scans is replaced within the unit."""
    host.drop_in(WORKER, "recycle", "[Service]\nEnvironment=MAX_SCANS_PER_WORKER=1\n")
    host.check("systemctl", "restart", WORKER)
    main, before, old = host.main_pid(WORKER), restarts(host), host.children(WORKER)
    for scan in [host.submit(web.url("/")) for _ in range(3)]:
        host.completed(scan)
    until(lambda: old - host.children(WORKER), 20)
    assert host.main_pid(WORKER) == main
    assert (restarts(host), host.is_active()) == (before, True)
    host.revert(WORKER, "recycle")
    host.check("systemctl", "restart", WORKER)


def test_a_hung_process_is_started_again(host: SystemdHost, web: Web) -> None:
    """Stopped by SIGSTOP, no process gives its sign of life, and systemd replaces it."""
    for unit in UNITS:
        host.drop_in(unit, "watchdog", "[Service]\nWatchdogSec=3\n")
    host.check("systemctl", "restart", *UNITS)
    before = {unit: host.main_pid(unit) for unit in UNITS}
    for pid in before.values():
        host.kill(pid, "STOP")
    for unit, pid in before.items():
        host.await_new(unit, pid)
        assert "Watchdog timeout" in host.check("journalctl", "--no-pager", f"--unit={unit}")
    host.recovered(web.url("/"))
    for unit in UNITS:
        host.revert(unit, "watchdog")


def seconds(span: str) -> int:
    """Read systemd's `2min 30s`."""
    units = {"min": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(min|s)\b", span))


def user(name: str) -> tuple[str, ...]:
    """Return the options of setpriv that make a process this user's."""
    return (f"--reuid={name}", f"--regid={name if name != 'nobody' else 'nogroup'}")
