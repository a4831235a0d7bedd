"""An event loop whose clock a test need not wait for: when nothing is ready, time jumps ahead."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

#: How long the loop waits for a thread where it has no timer of its own.
_THREAD_S = 0.01


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: the seconds that the loop would wait go by at once."""

    #: Seconds since the loop was made.
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, and advance the time if nothing is."""
        if timeout is None:
            return super().select(_THREAD_S)
        ready = super().select(0)
        if not ready:
            self.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop; `asyncio.sleep`, `asyncio.timeout` and `asyncio.wait` go by its time."""

    def __init__(self) -> None:
        """Start at second 0."""
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that went by."""
        return self._jumping.now_s


def virtual_time(
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Run an async test in a loop of virtual time."""
    # Any: what a coroutine yields and receives is the event loop's own business.

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
