"""The claims that wait for a member that is being started, in the order in which they came."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingClaims(Generic[T]):
    """Each claim gets at most one member, and each member goes to at most one claim."""

    def __init__(self, give_back: Callable[[T], None]) -> None:
        """Take what becomes of a member whose claim is cancelled when it gets it."""
        self._give_back = give_back
        self._turns: deque[asyncio.Future[T | None]] = deque()

    def __len__(self) -> int:
        """Return the number of claims that wait."""
        return len(self._turns)

    async def wait(self, timeout_s: float) -> T | None:
        """Wait for a member; return None after the timeout or after `give_up`."""
        turn: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except TimeoutError:
            pass  # it may have got a member in the same moment
        except asyncio.CancelledError:
            if (member := _result(turn)) is not None:
                self._give_back(member)
            raise
        finally:
            if turn in self._turns:
                self._turns.remove(turn)
        return _result(turn)

    def give(self, member: T) -> bool:
        """Give the member to the claim that has waited longest; return False if none waits."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(member)
                return True
        return False

    def give_up(self) -> None:
        """End all waits without a member."""
        for turn in self._turns:
            if not turn.done():
                turn.set_result(None)


def _result(turn: asyncio.Future[T | None]) -> T | None:
    return turn.result() if turn.done() and not turn.cancelled() else None
