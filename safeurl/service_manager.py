"""What a daemon tells the service manager that started it: systemd's sd_notify protocol.

A datagram to the socket that NOTIFY_SOCKET names. Where nobody gave one, nothing is told. Source:
sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

_log = logging.getLogger("safeurl.notify")

#: The service manager's own; a process that was not started by it must not see them.
VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: Pings come four times per term, so that one that is late, or lost, costs nothing.
_PINGS_PER_TERM: Final = 4
#: The manager reads soon; a full socket must not hold a daemon for ever.
_SEND_TIMEOUT_S: Final = 1.0
_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Tells the service manager how this process does; each method may be called at any time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read where to tell, and how often the manager wants a sign of life."""
        path = environ.get("NOTIFY_SOCKET", "")
        #: A leading @ stands for the NUL of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._ping_every_s = _term_s(environ) / _PINGS_PER_TERM
        self._ping_at_s = 0.0
        self._status = ""
        self._is_ready = False

    def ready(self) -> None:
        """Tell that the service is up, the first time."""
        if not self._is_ready:
            self._is_ready = True
            self._tell("READY=1")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._tell("STOPPING=1")

    def status(self, words: str) -> None:
        """Tell how it goes in one line, when that has changed."""
        if words != self._status:
            self._status = words
            self._tell(f"STATUS={words}")

    def ping(self) -> None:
        """Give a sign of life when one is due; to be called from the loop whose life it proves."""
        now = time.monotonic()
        if self._ping_every_s and now >= self._ping_at_s:
            self._ping_at_s = now + self._ping_every_s
            self._tell("WATCHDOG=1")

    async def keep_pinging(self) -> None:
        """Ping until cancelled, which proves that the event loop turns, and no more."""
        while self._ping_every_s:
            self.ping()
            await asyncio.sleep(self._ping_every_s)

    def _tell(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(_SEND_TIMEOUT_S)
                out.sendto(line.encode(), self._address)
        except OSError as error:
            # The service goes on: what the manager makes of the silence is its own affair.
            _log.warning("notify.failed line=%r error=%s", line, error)


@asynccontextmanager
async def announced() -> AsyncIterator[None]:
    """Tell that the service is up, give signs of life meanwhile, and tell of its end."""
    notifier = Notifier(os.environ)
    notifier.ready()
    pinging = asyncio.create_task(notifier.keep_pinging())
    try:
        yield
    finally:
        notifier.stopping()
        pinging.cancel()
        with suppress(asyncio.CancelledError):
            await pinging


def _term_s(environ: Mapping[str, str]) -> float:
    """Return within which time the manager wants a sign of life; 0 where it wants none of us."""
    pid, term = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not term.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(term) / _MICROSECONDS
