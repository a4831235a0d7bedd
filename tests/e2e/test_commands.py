"""The installed commands as a person or a script uses them."""

import json
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import without_own_warning
from tests.support.pages import PageServer, html
from tests.support.routes import LOGIN_PAGE
from tests.support.system import RunningWorker, System


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    """Serve a harmless and a phishing page where sandboxes reach them."""
    routes = {
        "/": lambda _: html("<title>Hello</title><p>A page with some words on it.</p>" * 3),
        "/login": lambda _: html(LOGIN_PAGE),
    }
    with PageServer(routes) as server:
        yield server


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return a separate installation."""
    return System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32", WORKER_CONCURRENCY="2")


def test_scan_in_the_foreground(system: System, pages: PageServer) -> None:
    """`safeurl scan` starts all parts, prints each state, and its exit code is the verdict."""
    done = system.run("scan", pages.url("/login"))
    assert done.returncode in {10, 20}, done.stderr
    states = re.findall(r"^[•✓] (\w+)", done.stderr, re.MULTILINE)
    assert states[0] == "QUEUED"
    assert states[-1] == "COMPLETED"
    assert "PayPal" in done.stdout
    assert re.search(r"^reason: \+\d+", done.stdout, re.MULTILINE)
    assert "http://" not in done.stdout, "URLs are defanged in text"
    assert system.containers_left() == []


def test_scan_as_json(system: System, pages: PageServer) -> None:
    """With --json standard output is one document for programs."""
    done = system.run("scan", "--json", pages.url("/"))
    document = json.loads(done.stdout)
    assert document["scan"]["state"] == "COMPLETED"
    assert document["evidence"]["hops"][0]["status"] == 200
    assert [entry["to_state"] for entry in document["audit"] if entry["to_state"]] == [
        *("QUEUED", "FETCHING", "ANALYZING", "COMPLETED")
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com/", "ftp"),
        ("http://10.0.0.1/", "private"),
        ("http://0x7f.0.0.2/", "loopback"),
        ("http://[::1]/", "loopback"),
        ("https://", "host"),
    ],
)
def test_what_cannot_be_scanned_is_refused(system: System, url: str, words: str) -> None:
    """A refused URL costs one sentence that names the reason, exit code 2, and no row."""
    done = system.run("scan", url)
    assert done.returncode == 2
    assert words in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    """Nothing starts with wrong settings: exit 78 and every fault."""
    system = System(tmp_path)
    system.environ |= {"REDIS_PORT": "x", "WORKER_CONCURRENCY": "0"}
    done = system.run("worker")
    assert done.returncode == 78
    assert "REDIS_PORT" in done.stderr
    assert "WORKER_CONCURRENCY" in done.stderr


def test_submit_and_look(system: System, pages: PageServer) -> None:
    """`submit-scan --wait` of several, then `status` and `list` show them."""
    with RunningWorker(system):
        both = [pages.url("/"), pages.url("/login")]
        done = system.run("--wait", *both, program="submit-scan")
        assert done.returncode == 20, "the worst of both"
        ids = re.findall(r"^scan: (\S+)", done.stdout, re.MULTILINE)
        assert len(ids) == 2
        told = without_own_warning(done.stderr).splitlines()[:2]
        assert [line.split()[0] for line in told] == ids, "ids come before the wait"
        alone = system.run("--wait", pages.url("/login"), program="submit-scan")
        assert alone.returncode == 20
        lines = system.run("--json", "--wait", *both, "ftp://x/", program="submit-scan")
        assert lines.returncode == 20, "worse than a refused one"
        refused, *views = map(json.loads, lines.stdout.splitlines())
        assert (refused["submitted_url"], refused["reason"]) == ("ftp://x/", "scheme")
        assert [view["scan"]["submitted_url"] for view in views] == both
        assert views[1]["verdict"]["judgement"] == "malicious"
    listed = system.run("list").stdout.splitlines()
    assert [row.split("\t")[0] for row in listed[4:]] == [*reversed(ids)]
    assert "\tCOMPLETED\tok\tmalicious\t" in listed[4]
    [newest, *_] = json.loads(system.run("list", "--json").stdout)
    assert (newest["verdict"], newest["score"] > 0) == ("malicious", True)
    assert newest["created_at"] == views[1]["scan"]["created_at"]
    status = system.run("status", ids[0])
    assert "QUEUED → FETCHING" in status.stdout
    assert system.run("status", "nope").returncode == 2


def test_a_wait_that_takes_too_long(system: System, pages: PageServer) -> None:
    """Exit 75, and the id is printed although the scan did not end, because no worker runs."""
    done = system.run("--wait", "--timeout", "0.5", pages.url("/"), program="submit-scan")
    assert done.returncode == 75
    assert "they continue" in done.stderr
    told = re.findall(r"^([0-9a-f-]{36}) ", done.stderr, re.MULTILINE)
    assert [scan_id for scan_id in told if scan_id in done.stdout] == told
    assert system.run("status", told[0]).returncode == 0


def test_submit_from_a_pipe_keeps_the_good_ones(system: System, pages: PageServer) -> None:
    """A list on standard input: refused lines are named, the others are recorded."""
    lines = f"# a comment\n{pages.url('/')}\nhttp://10.0.0.1/\n\n{pages.url('/login')}\n"
    done = system.run("-", program="submit-scan", stdin=lines)
    assert done.returncode == 2
    assert len(done.stdout.split()) == 2
    assert "10.0.0.1" in done.stderr


def test_migrate_says_what_it_did(system: System) -> None:
    """The first run applies migrations, the second finds nothing to do."""
    assert "Applied migrations 1" in system.run("migrate").stdout
    assert "Up to date" in system.run("migrate").stdout


def test_up_serves_and_scans(system: System, pages: PageServer) -> None:
    """`safeurl up` accepts a scan over HTTP, runs it, reports healthy, and stops on SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    system.environ["API_PORT"] = str(port)
    root = f"http://127.0.0.1:{port}"
    with system.command("up") as process:
        try:
            _until_healthy(root)
            body = json.dumps({"url": pages.url("/")}).encode()
            request = urllib.request.Request(  # noqa: S310 - our own server on loopback
                f"{root}/api/scans", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
                assert answer.status == 202
                scan_id = json.load(answer)["id"]
            [scan] = system.wait_final([scan_id], timeout_s=60)
            assert scan.outcome == "ok"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0


def _until_healthy(root: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{root}/health", timeout=5) as answer:  # noqa: S310 - our own server
                if json.load(answer)["health"]["status"] == "healthy":
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError("it never was healthy")
