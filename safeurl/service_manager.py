"""Notifies the service manager that started this daemon: systemd's sd_notify protocol.

Each notification is a datagram to the socket that NOTIFY_SOCKET names. Without this variable no
notification is sent. Source: sd_notify(3) and sd_watchdog_enabled(3).
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

#: The variables of the service manager; processes that it did not start must not inherit them.
VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: Four pings are sent in each watchdog interval, so that a late or lost one does no harm.
_PINGS_PER_INTERVAL: Final = 4
#: The manager reads quickly; a full socket must not block a daemon forever.
_SEND_TIMEOUT_S: Final = 1.0
_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Notifies the service manager; each method may be called at any time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the manager's socket and its watchdog interval from the environment."""
        path = environ.get("NOTIFY_SOCKET", "")
        #: A leading @ stands for the NUL of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._ping_every_s = _interval_s(environ) / _PINGS_PER_INTERVAL
        self._ping_at_s = 0.0
        self._status = ""
        self._is_ready = False

    def ready(self) -> None:
        """Notify the first time that the service is ready."""
        if not self._is_ready:
            self._is_ready = True
            self._send("READY=1")

    def stopping(self) -> None:
        """Notify that the service is stopping."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Send the status line if it has changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def ping(self) -> None:
        """Send a watchdog ping if one is due; the monitored loop calls this."""
        now = time.monotonic()
        if self._ping_every_s and now >= self._ping_at_s:
            self._ping_at_s = now + self._ping_every_s
            self._send("WATCHDOG=1")

    async def keep_pinging(self) -> None:
        """Send pings until cancelled; this proves only that the event loop runs."""
        while self._ping_every_s:
            self.ping()
            await asyncio.sleep(self._ping_every_s)

    def _send(self, line: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(_SEND_TIMEOUT_S)
                out.sendto(line.encode(), self._address)
        except OSError as error:
            # The service continues. The manager decides what it does without the notification.
            _log.warning("notify.failed line=%r error=%s", line, error)


@asynccontextmanager
async def announced() -> AsyncIterator[None]:
    """Notify that the service is ready, send watchdog pings meanwhile, and notify its end."""
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


def _interval_s(environ: Mapping[str, str]) -> float:
    """Return the watchdog interval for this process; 0 if the manager set none."""
    pid, term = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not term.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(term) / _MICROSECONDS
