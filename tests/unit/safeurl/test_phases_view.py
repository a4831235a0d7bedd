"""How the phases look: bars in a terminal, lines for programs in a pipe."""

from io import StringIO

from rich.console import Console

from safeurl.cli.view.phases import print_phases
from safeurl.cli.view.screen import Screen
from safeurl.model.attempt import PHASES, Attempt
from safeurl.services.phase_figures import path_figures
from safeurl.services.throughput import HostFacts, throughput
from tests.support.attempt_rows import COLD, make_attempt
from tests.support.builders import make_beat

_HOST = HostFacts(
    name="host-1",
    processors=2,
    load=0.3,
    available_memory_bytes=10**9,
    concurrency=5,
    pool_size="auto",
)
_BLOCKS = set("█▏▎▍▌▋▊▉")


class _Ascii(StringIO):
    """A file whose encoding has no blocks."""

    encoding = "ascii"


def _shown(
    attempts: list[Attempt], *, on_terminal: bool, width: int = 80, file: StringIO | None = None
) -> list[str]:
    file = file or StringIO()
    console = Console(file=file, force_terminal=on_terminal, width=width, color_system=None)
    figures = path_figures(attempts)
    found = throughput(attempts, figures, [make_beat()], _HOST)
    print_phases(Screen(console), figures, found)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_in_a_pipe_each_phase_is_a_line() -> None:
    """Separated by tabs, under a head; what follows is a line for each fact."""
    lines = _shown([make_attempt(), make_attempt(COLD)], on_terminal=False)
    assert lines[0] == "2 attempts, 2026-01-02 03:04:05Z to 2026-01-02 03:04:06Z; 0 left out."
    assert lines[1] == "start\tphase\tp50 ms\tp95 ms\tshare"
    rows = [line.split("\t") for line in lines if "\t" in line][1:]
    wanted = [*PHASES, "other", "total"]
    assert [row[:2] for row in rows] == [
        [kind, phase] for kind in ("warm", "cold") for phase in wanted
    ]
    assert rows[6] == ["warm", "fetch", "30.00", "30.00", "0.517"]
    assert [line.split(":")[0] for line in lines if "\t" not in line][1:] == [
        "throughput",
        *["limit"] * 3,
        "load",
        "pool",
        "fetch",
        "prepare",
    ]
    assert not _BLOCKS & set("".join(lines))


def test_in_a_terminal_each_phase_has_a_bar() -> None:
    """Its length shows its part of the total."""
    lines = _shown([make_attempt(), make_attempt(COLD)], on_terminal=True)
    begin = lines.index("cold start, 1 attempt")
    bars = {line.split()[0]: line.count("█") for line in lines[begin:] if "█" in line}
    assert bars == {"prepare": 16, "fetch": 13}
    assert all(len(line) <= 80 for line in lines[: lines.index("", begin)])


def test_a_terminal_without_blocks_gets_other_bars() -> None:
    """And a narrow one has the figures, if not in columns."""
    lines = _shown([make_attempt(COLD)], on_terminal=True, file=_Ascii())
    assert [line for line in lines if line.endswith("#" * 16)]
    assert not _BLOCKS & set("".join(lines))
    narrow = _shown([make_attempt(COLD)], on_terminal=True, width=30)
    assert [line for line in narrow if "prepare" in line]


def test_without_attempts_it_says_what_to_do() -> None:
    """No table of nothing."""
    for on_terminal in (False, True):
        (line,) = _shown([], on_terminal=on_terminal)
        assert line.startswith("There is no scan yet that went the whole way")
        assert line.endswith("run this again.")
