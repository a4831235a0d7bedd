"""References such as `${NAME}` and `${NAME:-default}` in the values of a settings file.

They mean what python-dotenv makes of them. Its own expansion has no bound: a few hundred bytes of
lines that double each other fill the memory, and references that nothing closes take minutes.
"""

import os
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dotenv.parser import Binding

#: Of all values with references together: as many as the file itself may have.
MAX_CHARS: Final = 1024 * 1024

#: What is not closed is passed over to where no reference within it can be closed either.
_REFERENCE: Final = re.compile(
    r"\$\{(?P<name>[^}:]*+)(?:(?::-(?P<default>[^}]*+))?+(?P<close>\})|(?P<open>))"
)


class TooLongError(Exception):
    """The values expand to more than `MAX_CHARS` characters, here at the latest."""

    def __init__(self, binding: Binding) -> None:
        """Name the statement."""
        super().__init__(binding.key)
        self.binding = binding


def expanded(bindings: Iterable[Binding]) -> dict[str, str | None]:
    """Return the values by name; references mean what stands above, else the environment."""
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
    """Yield what the value is made of, each reference replaced."""
    # Behind the last brace nothing is closed.
    end, at = value.rfind("}") + 1, 0
    for match in _REFERENCE.finditer(value, 0, end):
        yield value[at : match.start()]
        at = match.end()
        if match["close"]:
            yield known.get(match["name"], match["default"]) or ""
        else:
            yield match[0]
    yield value[at:]
