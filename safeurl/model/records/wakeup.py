"""A wake-up: the message of the queue that asks a worker to run a scan."""

from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a wake-up was sent and taken, which explains how long its scan waited."""

    #: By the clock of the host that sent it; None where the job does not say so.
    pushed_at: datetime | None = None
    #: By the clock of the worker's host.
    taken_at: datetime
    #: By the monotonic clock of the worker's host, which all of its processes share.
    taken_s: float


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A task to run for a scan; the worker looks the task up in its own table."""

    task: str
    scan_id: str
    #: Two wake-ups that ask for the same are equal, whenever they came.
    arrival: Arrival | None = field(default=None, compare=False)
