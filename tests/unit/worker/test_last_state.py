"""A container's last state: engine and kernel may report a lack of memory late."""

import select
from typing import Any

import pytest

from worker.attempt.classify import MemoryFacts
from worker.sandbox.execute import last_state, was_restarted
from worker.sandbox.memory import NoMemoryWatch, Usage

_SIGNAL = MemoryFacts(signals=1)
_TWO = MemoryFacts(signals=2)


class Told:
    """A watch that returns these facts, one at each call, the last one repeatedly."""

    def __init__(self, *facts: MemoryFacts) -> None:
        """Store the facts in their order."""
        self._facts = list(facts)

    def register(self, poll: select.poll) -> None:
        """Register nothing."""

    def read(self) -> MemoryFacts:
        """Return the next facts."""
        return self._facts.pop(0) if len(self._facts) > 1 else self._facts[0]

    def usage(self) -> Usage:
        """Know nothing."""
        return Usage()


def _state(exit_code: int, *, oom: bool = False) -> dict[str, Any]:
    # Any: the engine's own document.
    return {"ExitCode": exit_code, "OOMKilled": oom}


def test_a_late_word_of_lacking_memory_is_waited_for() -> None:
    """The first call sees only the SIGKILL; the third one sees its cause."""
    looks = iter([_state(137), _state(137), _state(137, oom=True)])
    found = last_state(lambda: next(looks), NoMemoryWatch(), killed_by_us=False)
    assert found == (_state(137, oom=True), True)


def test_a_kill_from_outside_is_taken_for_one_in_the_end() -> None:
    """No event comes: the number of calls is limited, and the removal's own signal is ignored."""
    for memory in (NoMemoryWatch(), Told(_SIGNAL)):
        found = last_state(lambda: _state(137), memory, killed_by_us=False)
        assert found == (_state(137), False)


@pytest.mark.parametrize("exit_code", [0, 1, 137])
@pytest.mark.parametrize("killed_by_us", [False, True])
def test_the_kernels_counter_needs_no_event_of_the_engine(
    exit_code: int, *, killed_by_us: bool
) -> None:
    """The engine's event is lost; the kernel's counter is enough, without a wait."""
    looks = iter([_state(exit_code)])
    found = last_state(lambda: next(looks), Told(_TWO), killed_by_us=killed_by_us)
    assert found == (_state(exit_code), True)


def test_the_removals_signal_is_waited_for() -> None:
    """Until then, the one signal of a removed cgroup may mean the removal or a lack of memory."""
    looks = iter([_state(137), _state(137)])
    found = last_state(lambda: next(looks), Told(_SIGNAL, _TWO), killed_by_us=False)
    assert found == (_state(137), True)


@pytest.mark.parametrize(
    ("state", "killed_by_us"),
    [
        (_state(0), False),
        (_state(143), False),
        (_state(137, oom=True), False),
        (_state(137), True),
        (_state(0, oom=True), True),
    ],
)
def test_what_is_clear_is_looked_at_once(state: dict[str, Any], *, killed_by_us: bool) -> None:
    """There is no wait if the cause is certain."""
    looks = iter([state])
    found = last_state(lambda: next(looks), Told(_SIGNAL), killed_by_us=killed_by_us)
    assert found == (state, state["OOMKilled"])


_OURS = "2026-01-02T03:04:05.123456789Z"


@pytest.mark.parametrize(
    ("latest", "is_another"),
    [
        (_OURS, False),
        ("2026-01-02T03:04:05.12345679Z", True),
        ("2027-01-02T03:04:05.123456789Z", True),
        # Its clock was set back meanwhile.
        ("2025-01-02T03:04:05.123456789Z", True),
        ("0001-01-01T00:00:00Z", False),
        ("", False),
        (None, False),
    ],
)
def test_another_start_than_ours_is_a_restart(latest: str | None, *, is_another: bool) -> None:
    """Only the engine's clock counts; without its start times there was no restart."""
    assert was_restarted(_OURS, {"StartedAt": latest}) is is_another
    assert not was_restarted(None, {"StartedAt": latest})
    assert not was_restarted(_OURS, {})
