"""A settings file such as `.env`: settings, beside what other programs keep there.

A slip of the pen there must not go unheard, since a default would be in force instead: sandboxes
would reach what somebody believes to be denied.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from safeurl.cli import settings_file
from safeurl.errors import ConfigError
from safeurl.settings import SETTING_NAMES

#: Nobody else's names begin so. The other settings' beginnings are too common, API_ for example.
_OURS = ("EGRESS_", "SAFEURL_")
#: Others have such names too, CONTAINER_NAME and CONTAINER_HOST: only what is very like a setting
#: is taken for one.
_SHARED = ("CONTAINER_",)
_VERY_LIKE = 0.9


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
        elif nearest := _meant(name):
            yield f"{_where(binding)}: {name} is no setting; the nearest is {nearest}."


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


def _meant(name: str) -> str | None:
    """Return the setting that was meant by a name which is none, if it was one of ours."""
    if name in SETTING_NAMES or not name.startswith(_OURS + _SHARED):
        return None
    cutoff = 0.0 if name.startswith(_OURS) else _VERY_LIKE
    return next(iter(get_close_matches(name, sorted(SETTING_NAMES), n=1, cutoff=cutoff)), None)
