"""README keeps its word: generated parts are current, what it names exists."""

import re
from pathlib import Path

from tests.support.readme import README, ROOT, written

TEXT = README.read_text()


def test_generated_parts_are_current() -> None:
    """Help, state diagram and outcomes stand as the code has them."""
    assert written(TEXT) == TEXT


def test_the_first_screen_has_the_two_commands() -> None:
    """The first block of commands is the two that set everything up."""
    first = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert first is not None
    commands = [line.split("#")[0].strip() for line in first[1].strip().splitlines()]
    assert commands == ["bash docker/quickstart.sh [URL]", "bash tests/run.sh"]
    assert TEXT[: first.end()].count("\n") <= 20


def test_every_file_it_names_exists() -> None:
    """Links and paths in README lead somewhere."""
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    paths = re.findall(r"`(?:bash )?((?:docker|tests|safeurl|worker|api)/[\w./-]+)", TEXT)
    assert links
    missing = [name for name in {*links, *paths} if not Path(ROOT, name).exists()]
    assert missing == []
