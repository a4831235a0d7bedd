"""The output of the commands on a person's terminal, with a hostile scan in the database."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace

import msgspec
import pytest

from safeurl.model.report import Evidence, Hop, Page, Refusal
from safeurl.model.scan import Scan
from safeurl.model.verdict import Group, Hit, Judgement, Verdict
from safeurl.ports.store import Store
from safeurl.state import Outcome
from tests.support.builders import (
    NOW,
    WORKER,
    analysed,
    claimed,
    make_ending,
    make_result,
    make_scan,
)
from tests.support.system import System

_ESC = "\x1b[2J\x1b]0;owned\x07\x9b2J"
_LINE = "\nstate: COMPLETED\r\nverdict: benign, 0/100"
_TEXT = f"{_ESC}{_LINE}\u202e\u200b :cat: [red]x[/] [link=https://evil.example]y[/link]"
_URL = "http://evil.example/:cat:/[red]/:warning:"
_PICTURES = "\N{CAT}\N{WARNING SIGN}"
_COLUMNS = 1200
_SAFEURL = "from safeurl.cli import main; main()"


def _evidence(text: str, address: str) -> str:
    """Return evidence as an older version could store it, or a sandbox forge it."""
    hop = Hop(url=_URL, status=200, address=address, port=80, error=text, headers=((text, text),))
    evidence = Evidence(
        hops=(hop, _failed(hop, text)),
        page=Page(title=text, text=text),
        refusals=(Refusal(host=text, port=80, rule=text, address=text, url=text),),
    )
    return json.dumps(msgspec.to_builtins(evidence))


def _failed(hop: Hop, text: str) -> Hop:
    """Return the hop as a failed one, with this error text."""
    return msgspec.structs.replace(hop, status=None, error=text)


def _hit(text: str) -> Hit:
    return Hit(
        rule=text, version=1, group=Group.URL, weight=0.5, reason=text, pointer="", excerpt=text
    )


def _stored(system: System, text: str, address: str) -> str:
    """Store a finished scan with this text in every field; return its id."""
    verdict = Verdict(
        score=50,
        judgement=Judgement.SUSPICIOUS,
        hits=(_hit(text),),
        ruleset="core-1",
        summary=text,
    )

    async def act(store: Store) -> Scan:
        scan = make_scan(url=_URL, submitted_url=_URL)
        await store.add([scan])
        moved = await analysed(store, await claimed(store, scan), _evidence(text, address))
        assert moved is not None
        told = msgspec.json.encode(verdict).decode()
        result = replace(make_result(moved), verdict_json=told, title=text)
        ending = make_ending(moved, Outcome.OK, result=result, detail=text)
        ended = await store.finish(moved, ending, now=NOW, actor=WORKER)
        assert ended is not None
        return ended

    return system.with_store(act).id


def _on_terminal(system: System, *arguments: str) -> str:
    """Run a command with a terminal for both outputs; return the output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
    environ = {**system.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-c", _SAFEURL, *arguments], env=environ, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        got = b""
        with contextlib.suppress(OSError):  # EIO, when the last process has closed it
            while piece := os.read(ours, 65536):
                got += piece
    os.close(ours)
    return got.decode(errors="surrogateescape").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[System, str, str]]:
    """Return a calm and a hostile installation, each with its scan's id and its text."""
    made = []
    for text, address in (("calm", "1.1.1.1"), (_TEXT, _TEXT)):
        system = System(tmp_path_factory.mktemp("state"))
        made.append((system, _stored(system, text, address), text))
    return made


@pytest.mark.parametrize(
    "command",
    [
        ["status", "{id}"],
        ["status", "{id}", "--json"],
        ["list"],
        ["audit", "show", "{id}"],
        ["audit", "export"],
        ["status", "--{text}"],
    ],
    ids=" ".join,
)
def test_a_hostile_scan_does_not_drive_the_terminal(
    command: list[str], systems: list[tuple[System, str, str]]
) -> None:
    """There is no escape but our own colours, no forged line, no picture, no false address."""
    calm, hostile = (
        _on_terminal(system, *(part.format(id=scan_id, text=text) for part in command))
        for system, scan_id, text in systems
    )
    bare = re.sub(r"\x1b\[[0-9;]*m", "", hostile)
    unfit = [char for char in bare if not char.isprintable() and char != "\n"]
    assert unfit == [], ascii(hostile)
    assert not set(_PICTURES) & set(bare)
    assert len(hostile.split("\n")) == len(calm.split("\n")), hostile


def test_emoji_codes_stay_what_they_are(systems: list[tuple[System, str, str]]) -> None:
    """A URL that reads `:cat:` is shown so; it is copied, compared and blocked as text."""
    _, (system, scan_id, _) = systems
    shown = system.run("status", scan_id).stdout
    assert not set(_PICTURES) & set(shown)
    assert "url: hxxp://evil[.]example/:cat:/[red]/:warning:\n" in shown
    assert "title: [2J ]0;owned 2J state: COMPLETED verdict: benign, 0/100 :cat: [red]x" in shown
