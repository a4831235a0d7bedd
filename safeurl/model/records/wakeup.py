"""A wake-up: the message of the queue that asks a worker to run a scan."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: The name of the task in each wake-up.
TASK: Final = "worker.tasks.run_scan"


class Refusal(StrEnum):
    """The reason why a job of the queue is not a valid wake-up."""

    ID = "id"
    GONE = "gone"
    TYPE = "type"
    FIELDS = "fields"
    SIZE = "size"
    ORIGIN = "origin"
    DATA = "data"
    ARGUMENTS = "arguments"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A task to run for a scan; the worker looks the task up in its own table."""

    task: str
    scan_id: str
