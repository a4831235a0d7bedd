"""The generated parts of README.md and docs/: `python -m tests.support.documents` writes them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, cast

import typer.core
import typer.main
from typer.testing import CliRunner

from safeurl.cli.app import app
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.state import TRANSITIONS, Outcome, State, final_state, is_final
from tests.support import degradation, env_example, settings_page

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
#: Each generated part and the file that holds it
#: between `<!-- begin NAME -->` and `<!-- end NAME -->`.
PLACES: Mapping[str, Path] = {
    "help": DOCS / "commands.md",
    "settings": DOCS / "settings.md",
    "outcomes": DOCS / "api.md",
    "state diagram": DOCS / "architecture.md",
    "degradation": DOCS / "operations.md",
}
#: What the commands' help uses of a screen that is 80 columns wide.
_TEXT_WIDTH: Final = 78


def diagram() -> str:
    """Return the table as the Mermaid diagram of docs/architecture.md."""
    moves = [f"    {old} --> {new}" for old in State for new in State if new in TRANSITIONS[old]]
    ends = [f"    {state} --> [*]" for state in State if is_final(state)]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.QUEUED}", *moves, *ends])


def pages() -> tuple[Path, ...]:
    """Return every page for people: README, the two short pages next to it, and docs/."""
    beside = (README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md")
    return (*beside, *sorted(DOCS.glob("*.md")))


def help_text(*arguments: str) -> str:
    """Return the output of `safeurl … --help` on a screen of 80 columns."""
    done = CliRunner().invoke(
        app,
        [*arguments, "--help"],
        prog_name="safeurl",
        catch_exceptions=False,
        terminal_width=_TEXT_WIDTH,
    )
    return done.stdout.strip()


def commands(group: typer.core.TyperGroup | None = None, prefix: str = "") -> Iterator[str]:
    """Yield the name of every command; one of a group has the group's name before its own."""
    group = group or cast("typer.core.TyperGroup", typer.main.get_command(app))
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


@cache
def parts() -> Mapping[str, str]:
    """Return the text of each generated part by its name."""
    return {
        "help": _help(),
        "settings": settings_page.tables(),
        "outcomes": _outcomes(),
        "state diagram": f"```mermaid\n{diagram()}\n```",
        "degradation": degradation.table(),
    }


def current(path: Path) -> str:
    """Return the text of a page with every generated part as it should be."""
    text = path.read_text(encoding="utf-8")
    for name in (name for name, place in PLACES.items() if place == path):
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        filled = parts()[name] + "\n"
        text, count = re.subn(pattern, lambda m, b=filled: m[1] + b + m[2], text, flags=re.DOTALL)  # type: ignore[misc]  # the default binds the loop's value
        if count != 1:
            raise LookupError(f"{path.name} has {count} parts named {name!r}, not one")
    return text


def _help() -> str:
    blocks = [f"### `safeurl`\n\n```text\n{help_text()}\n```"]
    blocks += [
        f"### `safeurl {name}`\n\n```text\n{help_text(*name.split())}\n```" for name in commands()
    ]
    return "\n\n".join(blocks)


def _outcomes() -> str:
    rows = [
        f"| `{outcome}` | {final_state(outcome)} | {OUTCOME_MESSAGES[outcome]} |"
        for outcome in Outcome
    ]
    return "\n".join(["| Outcome | State | Meaning |", "|---|---|---|", *rows])


def main() -> None:
    """Write every generated part, and `.env.example`, which has the same source as the settings."""
    for path in set(PLACES.values()):
        path.write_text(current(path), encoding="utf-8")
    env_example.FILE.write_text(env_example.env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
