"""The parts of README that are generated: `python -m tests.support.readme` writes them anew."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import typer.core
import typer.main

from safeurl.cli.app import app
from safeurl.state import OUTCOME_MESSAGES, Outcome, diagram, final_state
from tests.support.degradation import table

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def help_text(*arguments: str) -> str:
    """Return what `safeurl … --help` prints on a screen 80 columns wide."""
    code = "import sys; sys.argv[0] = 'safeurl'; from safeurl.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"COLUMNS": "80", "PYTHONPATH": str(ROOT), "TERM": "dumb"},
    )
    return done.stdout.strip()


def commands(group: typer.core.TyperGroup | None = None, prefix: str = "") -> Iterator[str]:
    """Yield every command that people can give, those of groups by both their names."""
    group = group or cast("typer.core.TyperGroup", typer.main.get_command(app))
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def parts() -> dict[str, str]:
    """Return each generated part by its name."""
    blocks = [f"```text\n{help_text()}\n```"]
    blocks += [
        f"<details><summary><code>safeurl {name}</code></summary>\n\n"
        f"```text\n{help_text(*name.split())}\n```\n\n</details>"
        for name in commands()
    ]
    rows = [
        f"| `{outcome}` | {final_state(outcome)} | {OUTCOME_MESSAGES[outcome]} |"
        for outcome in Outcome
    ]
    return {
        "state diagram": f"```mermaid\n{diagram()}\n```",
        "outcomes": "\n".join(["| Outcome | State | What it means |", "|---|---|---|", *rows]),
        "degradation": table(),
        "help": "\n\n".join(blocks),
    }


def written(text: str) -> str:
    """Return README's text with every generated part as it should be."""
    for name, body in parts().items():
        pattern = rf"(<!-- begin {name} -->\n).*?(\n<!-- end {name} -->)"
        text, count = re.subn(pattern, lambda m, b=body: m[1] + b + m[2], text, flags=re.DOTALL)  # type: ignore[misc]  # the default binds the loop's value
        if count != 1:
            raise LookupError(f"README has no part named {name!r}")
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
