"""References in a settings file: they have the meaning of python-dotenv, within limits."""

import os
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from safeurl.errors import ConfigError
from safeurl.settings.dotenv import read_dotenv

_SAME = {
    "above": "A=1\nB=${A}x${A}",
    "below": "B=${A}\nA=1",
    "default": "B=${ABSENT:-x}${ABSENT:-}${ABSENT}",
    "bare": "export ABSENT\nB=${ABSENT:-x}",
    "environment": "B=${HOME}\nHOME=/x\nC=${HOME}",
    "open": "B=${A${A:${A:-x\nC=${A${B}",
    "colon": "A=1\nB=${A:x}${A:}${:-y}${}",
    "nested": "A=1\nB=${X:-${A}}}",
    "dollars": "A=1\nB=$A$${A}$}${",
    "quotes": "A=1\nB='${A}'\nC=\"${A}\\n\"",
    "comment": "# ${A}\n\nA=1 # ${A}",
}


@pytest.mark.parametrize("kind", _SAME)
def test_references_mean_what_the_library_makes_of_them(tmp_path: Path, kind: str) -> None:
    """Its own expansion is not used, since it has no bound."""
    text = _SAME[kind]
    assert _read(tmp_path, text) == dotenv_values(stream=StringIO(text))


def test_lines_that_double_each_other_are_refused(tmp_path: Path) -> None:
    """Some hundred bytes would fill the memory."""
    lines = [f"A{n}=${{A{n - 1}}}${{A{n - 1}}}" for n in range(1, 40)]
    with pytest.raises(ConfigError, match=r"line 18: up to A17 the values expand to more than"):
        _read(tmp_path, "\n".join(["A0=aaaaaaaa", *lines]))


def test_many_long_values_are_refused_together(tmp_path: Path) -> None:
    """No single one of them is too long."""
    lines = [f"B{n:04}=${{A}}" for n in range(2000)]
    with pytest.raises(ConfigError, match="expand to more than"):
        _read(tmp_path, "\n".join([f"A={'a' * 1000}", *lines]))


@pytest.mark.parametrize("part", ["${A", "${A:", "${A:-", "${", "${A}", "${A:-x}${B:"])
def test_many_references_take_no_time(tmp_path: Path, part: str) -> None:
    """Closed, or never; in the square of their number this would run into the test's limit."""
    for end in ("", "}", ":}"):
        assert set(_read(tmp_path, f"X={part * 80_000}{end}")) == {"X"}


def test_a_file_of_nothing_but_wrong_names_is_not_judged_to_its_end(tmp_path: Path) -> None:
    """To find the intended name of thousands of names takes long."""
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, "\n".join(f"SAFEURL_{n}=1" for n in range(20_000)))
    faults = caught.value.faults
    assert len(faults) == 51
    assert faults[-1].endswith("and more lines are wrong.")


def _read(folder: Path, text: str) -> dict[str, str | None]:
    path = folder / ".env"
    path.write_text(text)
    path.chmod(0o600)
    assert "ABSENT" not in os.environ
    return read_dotenv(path)
