"""A settings file such as `.env`: settings, beside what other programs keep there.

A slip of the pen there must not go unheard, since a default would be in force instead: sandboxes
would reach what somebody believes to be denied.
"""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from safeurl.cli import settings_file
from safeurl.cli.setting_name import meant_in_file, told
from safeurl.errors import ConfigError
from safeurl.settings import SETTING_NAMES


def read_dotenv(path: Path) -> dict[str, str | None]:
    """Return all that it sets, variables expanded; ConfigError names every line that is wrong."""
    text = settings_file.read(path)
    faults = tuple(f"{path}, {fault}" for fault in _faults(text))
    if faults:
        raise ConfigError(faults)
    return dotenv_values(stream=StringIO(text))


def _faults(text: str) -> Iterator[str]:
    for binding in parse_stream(StringIO(text)):
        name = binding.key or ""
        if binding.error or (name and binding.value is None and not _may_be_bare(name)):
            yield f"{_where(binding)}: this is no NAME=value."
        elif name == settings_file.VARIABLE:
            yield f"{_where(binding)}: {name} is read from the environment only."
        elif nearest := meant_in_file(name):
            yield f"{_where(binding)}: {told(name, nearest)}"


def _may_be_bare(name: str) -> bool:
    """Tell whether the name may stand alone, as in `export PATH`.

    A setting's may not: it would even take back the value of a line above.
    """
    return name.isidentifier() and name not in SETTING_NAMES


def _where(binding: Binding) -> str:
    """Return the line where the statement begins; the parser counts from the blank ones above."""
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    line = binding.original.line + blank.count("\n")
    return f"line {line}"
