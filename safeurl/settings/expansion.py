"""References such as `${NAME}` and `${NAME:-default}` in the values of a settings file.

They have the meaning of python-dotenv. Its own expansion has no limit: a few hundred bytes of lines
that double each other fill the memory, and references without a closing brace take minutes.
"""

import os
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dotenv.parser import Binding

#: The limit of all values with references together; the file itself has the same limit.
MAX_CHARS: Final = 1024 * 1024

#: A reference without a closing brace is skipped, with all references inside it.
_REFERENCE: Final = re.compile(
    r"\$\{(?P<name>[^}:]*+)(?:(?::-(?P<default>[^}]*+))?+(?P<close>\})|(?P<open>))"
)


class TooLongError(Exception):
    """The values up to this statement expand to more than `MAX_CHARS` characters."""

    def __init__(self, binding: Binding) -> None:
        """Store the statement."""
        super().__init__(binding.key)
        self.binding = binding


def expanded(bindings: Iterable[Binding]) -> dict[str, str | None]:
    """Return the values by name. A reference uses an earlier line, or else the environment."""
    values: dict[str, str | None] = {}
    known: Mapping[str, str | None] = ChainMap(values, dict(os.environ))
    chars = 0
    for binding in bindings:
        if binding.key is None:
            continue
        value = binding.value
        if value is not None and "${" in value:
            parts = []
            for part in _parts(value, known):
                parts.append(part)
                chars += len(part)
                if chars > MAX_CHARS:
                    raise TooLongError(binding)
            value = "".join(parts)
        values[binding.key] = value
    return values


def _parts(value: str, known: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the parts of the value, with each reference replaced."""
    # After the last closing brace there is no complete reference.
    end, at = value.rfind("}") + 1, 0
    for match in _REFERENCE.finditer(value, 0, end):
        yield value[at : match.start()]
        at = match.end()
        if match["close"]:
            yield known.get(match["name"], match["default"]) or ""
        else:
            yield match[0]
    yield value[at:]
