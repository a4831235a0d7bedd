"""README.md and docs/ are correct: generated parts are current, and all names in them exist."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from safeurl.cli import entry
from safeurl.cli.commands.foreground import WORST_FIRST
from safeurl.model.attempt import PHASES, Attempt
from safeurl.services.phase_figures import OTHER
from safeurl.settings.core import SETTING_NAMES
from safeurl.settings.file import VARIABLE
from safeurl.state import Outcome, State
from tests.support import markdown
from tests.support.documents import DOCS, PLACES, README, ROOT, commands, current, pages
from tests.support.env_example import env_example
from tests.support.live_api import memory_api

MAX_README_LINES = 160
#: The pages of docs/.
NAMES = {
    *("install", "commands", "api", "settings", "operations", "security", "architecture"),
    *("development", "performance"),
}
#: Steps of a scan that docs/architecture.md has to place.
STEPS = ("submit", "claim", "run", "rescue", "seal", "cancel")
#: The special words that docs/architecture.md has to explain.
GLOSSARY = {
    *("claim", "lease", "rescuer", "reaper", "seal", "gateway", "probe", "doctor", "attempt"),
    *("wake-up", "artefact", "verdict", "outcome"),
}
#: Written like settings, but read by scripts, systemd or compose, or not a variable at all.
OTHER_VARIABLES = {
    *("BASE_IMAGE", "DOCKER_GID", "REDIS_API_PASSWORD", "REDIS_WORKER_PASSWORD"),
    *("TIMED_OUT", "SCAN_ID", VARIABLE),
}
PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.name))


@pytest.mark.parametrize("page", sorted(set(PLACES.values())), ids=lambda page: str(page.name))
def test_generated_parts_are_current(page: Path) -> None:
    """`python -m tests.support.documents` would change nothing."""
    assert current(page) == page.read_text(encoding="utf-8")


def test_each_promised_page_is_there_and_readme_links_to_it() -> None:
    """A reader of README finds every page."""
    found = {path.stem for path in DOCS.glob("*.md")}
    assert found == NAMES
    assert {f"docs/{name}.md" for name in found} <= set(markdown.links(README.read_text()))


def test_readme_is_short() -> None:
    """A newcomer reads it in a few minutes."""
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_first_screen_has_the_two_commands() -> None:
    """The first block of commands is the two that set everything up."""
    text = README.read_text()
    first = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert first is not None
    lines = [line.split("#")[0].strip() for line in first[1].strip().splitlines()]
    assert lines == ["bash docker/quickstart.sh [URL]", "bash tests/run.sh"]
    assert text[: first.end()].count("\n") <= 20


@PAGES
def test_every_link_resolves(page: Path) -> None:
    """A relative link leads to a file, and its anchor to a heading of it."""
    found = markdown.links(page.read_text(encoding="utf-8"))
    inside = [link for link in found if not re.match(r"[a-z]+:", link)]
    assert [link for link in inside if not _resolves(page, link)] == []


def _resolves(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists() or ROOT not in target.parents:
        return False
    return not anchor or anchor in markdown.anchors(target.read_text(encoding="utf-8"))


def test_the_link_check_finds_what_is_broken() -> None:
    """An anchor is a heading's text as hosting services write it."""
    text = "# One `two`: three\n\n```text\n# no heading\n[x](no-link)\n```\n[a](b.md#c)\n"
    assert markdown.anchors(text) == {"one-two-three"}
    assert markdown.links(text) == ["b.md#c"]


@PAGES
def test_every_path_it_names_exists(page: Path) -> None:
    """Files and folders of the checkout exist under the names on the page."""
    text = page.read_text(encoding="utf-8")
    folders = "docker|docs|tests|safeurl|worker|api|fetcher"
    found = re.findall(rf"(?:`|bash |python )((?:{folders})/[\w./-]+)", text)
    unmade = {"docker/base-image.digest"}  # pins a base if the user creates it
    assert [name for name in found if not (ROOT / name).exists() and name not in unmade] == []


@PAGES
def test_every_function_it_names_exists(page: Path) -> None:
    """`path.py::name` is a function, class or method of that file."""
    missing = [
        each
        for each in markdown.references(page.read_text(encoding="utf-8"))
        if not (ROOT / each.path).is_file()
        or each.name not in markdown.defined_in(ROOT / each.path)
    ]
    assert missing == []


def test_a_command_that_runs_one_test_names_a_test() -> None:
    """The example of docs/development.md can be copied."""
    text = (DOCS / "development.md").read_text(encoding="utf-8")
    named = [
        (path, name)
        for fence in markdown.fences(text)
        for path, name in re.findall(r"(tests/\S+\.py)::(\w+)", fence.text)
    ]
    assert named
    assert all(name in markdown.defined_in(ROOT / path) for path, name in named)


@PAGES
def test_every_block_of_code_has_a_language(page: Path) -> None:
    """The block is then highlighted in its language."""
    blocks = markdown.fences(page.read_text(encoding="utf-8"))
    assert [block for block in blocks if block.language not in {"sh", "text", "mermaid"}] == []


@PAGES
def test_every_setting_it_names_exists(page: Path) -> None:
    """A setting that was renamed or removed is found in every page."""
    spans = markdown.code_spans(page.read_text(encoding="utf-8"))
    named = {span for span in spans if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", span)}
    assert named - SETTING_NAMES - OTHER_VARIABLES == set()


def test_settings_page_has_every_setting_of_the_example() -> None:
    """And no other: each is one row of one table."""
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", text, re.MULTILINE)
    example = re.findall(r"^#?([A-Z0-9_]+)=", env_example(), re.MULTILINE)
    assert sorted(rows) == sorted(example)
    assert set(rows) == SETTING_NAMES


def test_performance_page_explains_every_phase() -> None:
    """They are in their order, with the remaining time at the end."""
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [*PHASES, OTHER]


def test_commands_page_has_every_command() -> None:
    """Each command has a heading, and there are no other headings."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    named = [name.strip("`") for name in markdown.headings(text) if name.startswith("`safeurl")]
    assert named == ["safeurl", *(f"safeurl {name}" for name in commands())]


@pytest.mark.parametrize("command", [[], ["submit"], ["audit", "verify"]], ids=str)
def test_commands_page_holds_what_a_terminal_shows(command: list[str]) -> None:
    """The generator calls the application; this test runs the command in its own process."""
    code = "import sys; sys.argv[0] = 'safeurl'; from safeurl.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"COLUMNS": "80", "PYTHONPATH": str(ROOT), "TERM": "dumb"},
    )
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert f"```text\n{done.stdout.strip()}\n```" in text


def test_api_page_explains_every_field_of_an_attempt() -> None:
    """By its name; the phases are a range of names."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    between = {f"{phase}_ms" for phase in PHASES[1:-1]} | {"scan_id"}
    names = {field.name for field in fields(Attempt)} - between
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_commands_page_has_every_exit_code() -> None:
    """Each code that a command can end with is one row of the table."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    errors = {value for name, value in vars(entry).items() if name.startswith("EXIT_")}
    verdicts = set(WORST_FIRST)
    assert errors
    assert rows == errors | verdicts | {0, 1}


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("systemd", "docker/systemd/safeurl-worker.service"),
        ("Docker compose", "docker/compose.yaml"),
    ],
    ids=["systemd", "compose"],
)
def test_install_page_gives_the_commands_of_the_shipped_files(heading: str, place: str) -> None:
    """The first comments of the unit and of the compose file have the same commands as the page."""
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    shown = markdown.fences(section)[0].text
    comment = re.findall(r"^#   (?=\S| )(.*)$", (ROOT / place).read_text(), re.MULTILINE)
    assert len(comment) > 3
    assert [line for line in comment if line not in shown.splitlines()] == []


def test_api_page_has_every_route_of_the_schema() -> None:
    """And no other: each is one row of the table of routes."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", text, re.MULTILINE)
    with memory_api() as running:
        schema = running.client.get("/openapi.json").json()
    routes = [(method.upper(), path) for path, each in schema["paths"].items() for method in each]
    assert sorted(rows) == sorted(routes)


def test_api_page_has_every_state_and_outcome() -> None:
    """Each is one row of a table."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    states = re.findall(r"^\| ([A-Z_]+) \|", text, re.MULTILINE)
    assert states == list(State)
    outcomes = re.findall(r"^\| `([a-z_]+)` \| [A-Z]", text, re.MULTILINE)
    assert [name for name in outcomes if name in set(Outcome)] == list(Outcome)


def test_architecture_page_places_every_step() -> None:
    """On this page alone, a newcomer finds the code of each step of a scan."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for step in STEPS:
        row = re.search(rf"^\| {step} \| ([^|]+) \|", text, re.MULTILINE)
        assert row is not None, step
        assert markdown.references(row[1]), step


def test_architecture_page_has_every_table() -> None:
    """Each table of the schema is in the first column of one table, and no other name is."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("\n## Tables\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    named = [name for row in rows for name in markdown.code_spans(row)]
    schema = (ROOT / "schema.sql").read_text(encoding="utf-8")
    tables = re.findall(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", schema, re.MULTILINE)
    assert sorted(named) == sorted(tables)


def test_glossary_explains_the_special_words() -> None:
    """Each has one row, in the order of the alphabet."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    glossary = text.partition("## Glossary")[2]
    words = re.findall(r"^\| ([a-z][a-z -]+) \| [A-Z]", glossary, re.MULTILINE)
    assert set(words) >= GLOSSARY
    assert words == sorted(set(words))
