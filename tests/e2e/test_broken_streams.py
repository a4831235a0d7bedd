"""Every command with closed, full or broken streams: it works, and its exit code shows the fault.

A command needs nothing from standard error: without it the result is the same. If standard output
is closed, it is not needed; if it is full or broken, the exit code shows it.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from safeurl.cli.entry import EXIT_UNAVAILABLE, EXIT_UNREAD
from safeurl.state import Outcome, State
from tests.support.broken_streams import start
from tests.support.builders import make_scan
from tests.support.pages import PageServer, html
from tests.support.system import ENTRIES, System

_URL: Final = "https://www.example.com/"
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """A command, and its exit code with working streams."""

    arguments: tuple[str, ...]
    code: int = 0
    program: str = "safeurl"
    #: Whether it writes to standard output.
    prints: bool = True


#: `{id}` is a queued scan, `{folder}` the run's own, where `{folder}/saved` is a backup.
_COMMANDS: Final = {
    "list": _Command(arguments=("list",)),
    "status": _Command(arguments=("status",), code=EXIT_UNAVAILABLE),
    "status ID": _Command(arguments=("status", "{id}")),
    "submit": _Command(arguments=("submit", _URL)),
    "submit-scan": _Command(arguments=("no URL", _URL), code=2, program="submit-scan"),
    "submit --wait": _Command(arguments=("submit", "--wait", "--timeout", "0.1", _URL), code=75),
    "cancel": _Command(arguments=("cancel", "{id}")),
    "migrate": _Command(arguments=("migrate",)),
    "backup": _Command(arguments=("backup", "{folder}/new")),
    "restore": _Command(arguments=("restore", "--force", "{folder}/saved")),
    "audit verify": _Command(arguments=("audit", "verify")),
    "audit show": _Command(arguments=("audit", "show", "{id}")),
    "audit export": _Command(arguments=("audit", "export")),
    # Without an engine; the complete scan is tested below.
    "scan": _Command(arguments=("scan", _URL), code=EXIT_UNAVAILABLE, prints=False),
    "doctor": _Command(arguments=("doctor",), code=1),
    "version": _Command(arguments=("version",)),
    "help": _Command(arguments=("--help",)),
    "misspelt": _Command(arguments=("lst",), code=2, prints=False),
}
#: What became of the work, where a command has some to do.
_DONE: Final[dict[str, Callable[[System, str, Path], bool]]] = {
    "submit": lambda system, _id, _folder: _count(system) == 2,
    "submit-scan": lambda system, _id, _folder: _count(system) == 2,
    "submit --wait": lambda system, _id, _folder: _count(system) == 2,
    "cancel": lambda system, id_, _folder: _outcome(system, id_) is Outcome.CANCELLED,
    "backup": lambda _system, _id, folder: (folder / "new").stat().st_size > 0,
    "restore": lambda system, _id, _folder: _count(system) == 1,
}


def _count(system: System) -> int:
    return len(system.with_store(lambda store: store.page(limit=9, before=None)))


def _outcome(system: System, scan_id: str) -> Outcome | None:
    scan = system.with_store(lambda store: store.get(scan_id))
    assert scan is not None
    return scan.outcome


def _expected(command: _Command, streams: str) -> int:
    """Return the expected exit code with these streams."""
    if command.prints and streams in {"full stdout", "full both"}:
        return EXIT_UNAVAILABLE
    if command.prints and streams in {"dead stdout", "dead both"}:
        return EXIT_UNREAD
    return command.code


def _run(system: System, command: _Command, streams: str, **words: str) -> int:
    arguments = [each.format(**words) for each in command.arguments]
    line = ["-c", ENTRIES[command.program], *arguments]
    process = start(line, system.environ, streams)
    try:
        process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def _prepared(folder: Path, name: str) -> tuple[System, str]:
    system = System(folder / "state", DOCKER_SOCKET_PATH=str(folder / "no-engine"))
    scan = make_scan(url=_URL)
    system.with_store(lambda store: store.add([scan]))
    if name == "restore":
        done = system.run("backup", str(folder / "saved"))
        assert done.returncode == 0, done.stderr
    return system, scan.id


#: Those that tell of their progress, or of what is wrong, on standard error alone.
_TELL_BESIDE: Final = ("submit-scan", "submit --wait", "misspelt")
_CASES: Final = [
    *((name, streams) for name in _COMMANDS for streams in ("none", "full both", "dead both")),
    *((name, streams) for name in _TELL_BESIDE for streams in ("full stderr", "dead stderr")),
]


@pytest.mark.parametrize(("name", "streams"), _CASES)
def test_a_command(tmp_path: Path, name: str, streams: str) -> None:
    """Its work is done, and its exit code is the one that a script needs."""
    command = _COMMANDS[name]
    system, scan_id = _prepared(tmp_path, name)
    code = _run(system, command, streams, id=scan_id, folder=str(tmp_path))
    assert code == _expected(command, streams)
    if name in _DONE:
        assert _DONE[name](system, scan_id, tmp_path)


@pytest.mark.parametrize("streams", ["none", "full both", "dead both", "full stderr"])
def test_a_scan(tmp_path: Path, streams: str) -> None:
    """It ends with its verdict, and no sandbox stays behind."""
    page = {"/": lambda _: html("<title>Hello</title><p>A page with some words on it.</p>" * 3)}
    system = System(tmp_path / "state", EGRESS_ALLOW_CIDRS="127.0.0.1/32")
    with PageServer(page) as server:
        command = _Command(arguments=("scan", server.url("/")))
        assert _run(system, command, streams) == _expected(command, streams)
    [scan] = system.with_store(lambda store: store.page(limit=9, before=None))
    assert scan.state is State.COMPLETED
    assert system.containers_left() == []
