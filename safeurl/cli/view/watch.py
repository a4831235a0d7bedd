"""Waits for scans, and shows their states meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from safeurl.cli.view.screen import Screen
from safeurl.defang import safe_url
from safeurl.model.scan import Scan
from safeurl.service import Service
from safeurl.state import Outcome, State, is_final

#: The interval of the checks for the end of the wait, and of changes of the time on the screen.
_TICK_S = 0.05
#: The shortest and longest time between two reads of a database on this host, and of a remote one,
#: which many commands may read.
_LOCAL_S = (0.05, 1.0)
_REMOTE_S = (0.25, 5.0)
#: The time between two reads, as a part of the time since the last change.
_PAUSE_SHARE = 0.1

_WORDS = {
    State.QUEUED: "waiting for a worker",
    State.FETCHING: "the sandbox opens the page",
    State.ANALYZING: "rules read the evidence",
    State.COMPLETED: "done",
    State.FAILED: "failed",
    State.TIMED_OUT: "timed out",
}

Ended = Callable[[Scan], bool]


def is_ended(scan: Scan) -> bool:
    """Return whether the scan is in a final state."""
    return is_final(scan.state)


def is_ended_or_put_off(scan: Scan) -> bool:
    """Return whether the scan ended, or waits because no sandbox could be started."""
    return is_ended(scan) or (
        scan.state is State.QUEUED and scan.outcome is Outcome.SANDBOX_UNAVAILABLE
    )


def pause_s(waited_s: float, *, remote: bool) -> float:
    """Return the seconds until the next read, if there was no change for `waited_s` seconds."""
    least, most = _REMOTE_S if remote else _LOCAL_S
    return min(most, max(least, waited_s * _PAUSE_SHARE))


async def watch(  # noqa: PLR0913 - one keyword per option of the wait
    service: Service,
    scan_id: str,
    screen: Screen,
    *,
    ended: Ended = is_ended,
    timeout_s: float | None = None,
    remote: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Scan:
    """Show each new state until the scan ends or the time is over; then return the scan.

    The pause between two reads of the database grows while nothing changes, and is longer if the
    database is `remote`. `ended` is called at every tick.
    """
    started = changed = ask_at = clock()
    seen: State | None = None
    scan = await service.scan(scan_id)
    with screen.progress() as show:
        while True:
            now = clock()
            is_late = timeout_s is not None and now - started > timeout_s
            if seen is not None and (is_late or now >= ask_at):
                scan = await service.scan(scan_id)
                ask_at = now + pause_s(now - changed, remote=remote)
            if scan.state is not seen:
                _announce(screen, scan, now - started)
                seen, changed = scan.state, now
                ask_at = now + pause_s(0, remote=remote)
            if ended(scan) or is_late:
                return scan
            show(f"{_WORDS[scan.state]} … {now - started:.1f} s")
            await sleep(_TICK_S)


def _announce(screen: Screen, scan: Scan, took_s: float) -> None:
    line = state_line(scan.state, took_s, scan.outcome)
    if scan.state is State.QUEUED:
        line += f"  {safe_url(scan.url)}"
    screen.line(line)


def state_line(state: State, took_s: float, outcome: Outcome | None = None) -> str:
    """Return the line for a state that was reached after so many seconds."""
    words = "cancelled" if outcome is Outcome.CANCELLED else _WORDS[state]
    mark = "✓" if is_final(state) else "•"
    return f"{mark} {state:<10} {took_s:6.2f} s  {words}"
