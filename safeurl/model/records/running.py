"""The record of a running system: its command and its settings."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running system: the command, the process, and its settings."""

    #: The command: `up`, `worker` or `api`.
    command: str
    pid: int
    #: The settings file that it has read; empty if it has read none.
    file: str
    #: Text of each setting by the name of its variable; without secrets.
    settings: dict[str, str]
    #: The names of the secrets that are set.
    secrets: tuple[str, ...]
    #: When it was started, in seconds since 1970; 0 if that is not known.
    started_s: int = 0
    #: The names of its processes that fail at each start.
    failing: tuple[str, ...] = ()


#: Replaces the record.
Update = Callable[[Running], None]
