"""A settings file: misspelt names are refused, because the default would be used instead."""

from pathlib import Path

import pytest

from tests.support.system import System

_FILE = "ours.env"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Return an installation with a database; commands are run in `tmp_path`."""
    system = System(tmp_path / "state")
    assert system.run("migrate").returncode == 0
    system.environ["SAFEURL_ENV_FILE"] = str(tmp_path / _FILE)
    monkeypatch.chdir(tmp_path)
    return system


def _faults(system: System, text: str) -> list[str]:
    """Return the faults of the file, without its name, which begins every line."""
    Path(_FILE).write_text(text)
    done = system.run("list")
    assert (done.returncode, done.stdout) == (78, ""), done
    lines = done.stderr.removeprefix("Error: ").splitlines()
    name = f"{Path(_FILE).absolute()}, "
    assert all(line.startswith(name) for line in lines), lines
    return [line.removeprefix(name) for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("EGRESS_DENY_CIDRS 10.0.0.0/8\n", [1]),
        ("# ours\n\nA=1\nEGRESS_DENY_CIDRS 10.0.0.0/8\n", [4]),
        ("\n \n\n  EGRESS_DENY_CIDRS: 10.0.0.0/8", [4]),
        ("A=1\r\n\r\n=2\r\nB=3\r\nwhat is this\r\n", [3, 5]),
        ("A='1\nB=2\nC 3\n", [1, 3]),
        ('A="x\ny\n"\nC 3\n', [4]),
        ('A="x" y\n', [1]),
        ("EGRESS_DNS64\n", [1]),
        ("REDIS_PASSWORD:secret\n!\n", [1, 2]),
        ("EGRESS_DNS64=true\nexport EGRESS_DNS64\n", [2]),
    ],
)
def test_lines_that_say_nothing_are_named(system: System, text: str, lines: list[int]) -> None:
    """All of them at once, each by the number that an editor shows."""
    expected = [f"line {line}: this is not NAME=value." for line in lines]
    assert _faults(system, text) == expected


def test_names_that_are_nearly_ours_are_named(system: System) -> None:
    """Those that only we would use, and those of which a setting is one slip away."""
    text = "EGRESS_DENY_CIDR=10.0.0.0/8\nSAFEURL_STATEDIR=/x\nexport CONTAINER_NETWROK=none\n!\n"
    assert _faults(system, text) == [
        "line 1: EGRESS_DENY_CIDR is not a setting; the nearest is EGRESS_DENY_CIDRS.",
        "line 2: SAFEURL_STATEDIR is not a setting; the nearest is SAFEURL_STATE_DIR.",
        "line 3: CONTAINER_NETWROK is not a setting; the nearest is CONTAINER_NETWORK.",
        "line 4: this is not NAME=value.",
    ]


def test_other_peoples_names_are_none_of_our_business(system: System) -> None:
    """Those of compose and of any other program, with a value or without."""
    Path(_FILE).write_text(
        "DOCKER_GID=999\nCOMPOSE_PROJECT_NAME=x\nCONTAINER_NAME=y\nCONTAINER_HOST=z\n"
        "API_KEY=1\nMAX_CONNECTIONS=2\nREDIS_SENTINEL=x\nLOG_FORMAT=json\nexport PATH\n"
        "SOLO\n# EGRESS_DENY_CIDR=10.0.0.0/8\n\nOTHER=DEBUG\nLOG_LEVEL=${OTHER}\n"
    )
    done = system.run("list")
    read = f"Settings are read from {Path(_FILE).absolute()}.\n"
    assert (done.returncode, done.stderr) == (0, read)


def test_the_example_has_no_fault(system: System) -> None:
    """A copy of the complete example is valid."""
    example = Path(__file__).parents[2] / ".env.example"
    Path(_FILE).write_text(example.read_text())
    assert system.run("list").returncode == 0


def test_a_file_cannot_name_another_file(system: System) -> None:
    """Which file is read is decided before any is."""
    assert _faults(system, "SAFEURL_ENV_FILE=/tmp/other.env\n") == [
        "line 1: SAFEURL_ENV_FILE is read from the environment only."
    ]


def test_a_wrong_value_is_told_with_the_file_it_may_come_from(system: System) -> None:
    """The sentence names the setting, the next one the file."""
    Path(_FILE).write_text("REDIS_PORT=many\n")
    done = system.run("list")
    assert done.returncode == 78
    assert "REDIS_PORT" in done.stderr
    assert f"Settings are read from {Path(_FILE).absolute()}." in done.stderr
