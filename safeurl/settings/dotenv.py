"""Reads a settings file such as `.env`, which may also contain variables of other programs.

A misspelt name must be reported, because the default would be used instead: sandboxes could then
reach addresses that the operator believes to be denied.
"""

from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

from safeurl.errors import ConfigError
from safeurl.settings import file as settings_file
from safeurl.settings.core import SETTING_NAMES
from safeurl.settings.expansion import MAX_CHARS, TooLongError, expanded
from safeurl.settings.names import meant_in_file, not_a_setting

#: A file with more faults belongs to another program, and to find the intended name of each fault
#: takes time.
_MAX_FAULTS: Final = 50


def read_dotenv(path: Path) -> dict[str, str | None]:
    """Return all values of the file with references expanded; ConfigError names wrong lines."""
    bindings = tuple(parse_stream(StringIO(settings_file.read(path))))
    faults = [f"{path}, {fault}" for fault in islice(_faults(bindings), _MAX_FAULTS + 1)]
    if len(faults) > _MAX_FAULTS:
        faults[_MAX_FAULTS:] = [f"{path}, and more lines are wrong."]
    if faults:
        raise ConfigError(tuple(faults))
    try:
        return expanded(bindings)
    except TooLongError as error:
        words = (
            f"up to {error.binding.key} the values expand to more than {MAX_CHARS:,} characters."
        )
        raise ConfigError((f"{path}, {_where(error.binding)}: {words}",)) from error


def _faults(bindings: Iterable[Binding]) -> Iterator[str]:
    for binding in bindings:
        name = binding.key or ""
        if binding.error or (name and binding.value is None and not _may_be_bare(name)):
            yield f"{_where(binding)}: this is not NAME=value."
        elif name == settings_file.VARIABLE:
            yield f"{_where(binding)}: {name} is read from the environment only."
        elif nearest := meant_in_file(name):
            yield f"{_where(binding)}: {not_a_setting(name, nearest)}"


def _may_be_bare(name: str) -> bool:
    """Return whether the name may have no value, as in `export PATH`.

    A setting must have one, because a line without a value would remove the value of an earlier
    line.
    """
    return name.isidentifier() and name not in SETTING_NAMES


def _where(binding: Binding) -> str:
    """Return the line of the statement; the parser counts from the blank lines before it."""
    statement = binding.original.string
    blank = statement[: len(statement) - len(statement.lstrip())]
    line = binding.original.line + blank.count("\n")
    return f"line {line}"
