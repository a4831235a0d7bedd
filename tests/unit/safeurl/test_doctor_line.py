"""How a finding of the doctor's looks."""

import io
from typing import Literal

from rich.console import Console

from safeurl.cli.commands.doctor import line
from safeurl.cli.view.screen import Screen
from worker.doctor.finding import failed, passed


def shown(*, terminal: bool) -> list[str]:
    """Return the output for two findings."""
    out = io.StringIO()
    colours: Literal["standard"] | None = "standard" if terminal else None
    console = Console(file=out, force_terminal=terminal, color_system=colours, width=40)
    for finding in (passed("disk", "plenty"), failed("image", "[red]gone\x1b[2J", "Build it.")):
        Screen(console).line(*line(finding))
    return out.getvalue().splitlines()


def test_a_finding_is_one_plain_line_in_a_pipe() -> None:
    """Columns are aligned; foreign text is neither markup nor control characters."""
    first, second = shown(terminal=False)
    assert first.split() == ["pass", "disk", "plenty"]
    assert second.startswith("fail  image")
    assert second.endswith("[red]gone [2J — Build it.")
    assert first.index("plenty") == second.index("[red]")


def test_a_terminal_shows_the_status_in_colour() -> None:
    """A failed check is red, a passed one green."""
    first, second = shown(terminal=True)
    assert first.startswith("\x1b[32mpass")
    assert second.startswith("\x1b[1;31mfail")
