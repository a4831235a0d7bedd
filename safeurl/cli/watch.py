"""Waiting for scans: what a person sees while it lasts."""

import asyncio
import time
from collections.abc import Callable

from safeurl.cli.render import safe_url
from safeurl.cli.screen import Screen
from safeurl.scan import Scan
from safeurl.service import Service
from safeurl.state import Outcome, State, is_final

_POLL_S = 0.05

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
    """Tell whether nothing more happens to the scan."""
    return is_final(scan.state)


def is_ended_or_put_off(scan: Scan) -> bool:
    """Tell whether the scan ended, or waits because no sandbox could be started."""
    return is_ended(scan) or (
        scan.state is State.QUEUED and scan.outcome is Outcome.SANDBOX_UNAVAILABLE
    )


async def watch(
    service: Service,
    scan_id: str,
    screen: Screen,
    *,
    ended: Ended = is_ended,
    timeout_s: float | None = None,
) -> Scan:
    """Show each state as it comes until the scan ended or the time is over; return it as it is."""
    started = time.monotonic()
    seen: State | None = None
    with screen.progress() as show:
        while True:
            scan = await service.scan(scan_id)
            if scan.state is not seen:
                _announce(screen, scan, started)
                seen = scan.state
            if ended(scan) or (timeout_s is not None and time.monotonic() - started > timeout_s):
                return scan
            show(f"{_WORDS[scan.state]} … {time.monotonic() - started:.1f} s")
            await asyncio.sleep(_POLL_S)


def _announce(screen: Screen, scan: Scan, started: float) -> None:
    line = state_line(scan.state, time.monotonic() - started, scan.outcome)
    if scan.state is State.QUEUED:
        line += f"  {safe_url(scan.url)}"
    screen.line(line)


def state_line(state: State, took_s: float, outcome: Outcome | None = None) -> str:
    """Return the line that tells of a state reached after so many seconds."""
    words = "cancelled" if outcome is Outcome.CANCELLED else _WORDS[state]
    mark = "✓" if is_final(state) else "•"
    return f"{mark} {state:<10} {took_s:6.2f} s  {words}"
