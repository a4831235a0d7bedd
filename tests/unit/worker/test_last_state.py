"""A container's last state: the engine may learn late that memory was lacking."""

from typing import Any

import pytest

from worker.sandbox.container_run import last_state


def _state(exit_code: int, *, oom: bool = False) -> dict[str, Any]:
    # Any: the engine's own document.
    return {"ExitCode": exit_code, "OOMKilled": oom}


def test_a_late_word_of_lacking_memory_is_waited_for() -> None:
    """The first look sees only the SIGKILL; the third one knows whose it was."""
    looks = iter([_state(137), _state(137), _state(137, oom=True)])
    assert last_state(lambda: next(looks), killed_by_us=False) == _state(137, oom=True)


def test_a_kill_from_outside_is_taken_for_one_in_the_end() -> None:
    """No word comes: the looks are bounded."""
    assert last_state(lambda: _state(137), killed_by_us=False) == _state(137)


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
    """Nobody waits where nothing is in doubt."""
    looks = iter([state])
    assert last_state(lambda: next(looks), killed_by_us=killed_by_us) == state
