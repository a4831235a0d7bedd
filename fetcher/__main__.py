"""`python -m fetcher`: reads one request line from stdin and writes an NDJSON report to stdout."""

import importlib
import os
import sys
from collections.abc import Callable

import msgspec

from fetcher.http.session import make_session
from fetcher.report_writer import ReportWriter
from fetcher.streams import ReportUnwrittenError, log, open_closed_streams
from fetcher.watchdog import Exit, run_with_watchdog
from safeurl.errors import ConfigError
from safeurl.model.report import FetchRequest, Profile

_MAX_REQUEST_BYTES = 64 * 1024
_IDLE_S = 600.0
_USAGE = "Usage: python -m fetcher [--preload] [--idle-timeout SECONDS]"
_STDIN, _STDOUT, _STDERR = 0, 1, 2

#: Modules that are imported only when a fetch needs them. With `--preload`, a sandbox that is
#: started in advance imports them before it has a request.
_LAZY_MODULES = (
    "fetcher.http.tls",
    "fetcher.http.http2",
    "fetcher.page.prescan",
    "fetcher.page.dom",
    "brotli",
    "zstandard",
    "mmh3",
)


def main() -> None:
    """Run the fetch under the watchdog, with the options of the command line."""
    open_closed_streams()
    idle_s = _parse_options(sys.argv[1:])
    code = run_with_watchdog(_fetch, idle_s)
    # Exit at once: there is nothing to clean up, and a resolver thread may still be blocked.
    os._exit(code)


def _parse_options(arguments: list[str]) -> float:
    """Apply `--preload` and return the number of seconds to wait for a request.

    The options are parsed by hand because importing argparse would take a tenth of the start time.
    """
    if "--preload" in arguments:
        arguments.remove("--preload")
        for name in _LAZY_MODULES:
            importlib.import_module(name)
    match arguments:
        case []:
            return _IDLE_S
        case ["--idle-timeout", seconds] if seconds.isdecimal():
            return float(seconds)
    sys.exit(_USAGE)


def _fetch(report_timeout: Callable[[float], None]) -> Exit:
    # The report keeps the original stdout. Anything else that prints to stdout goes to stderr.
    writer = ReportWriter(os.dup(_STDOUT))
    os.dup2(_STDERR, _STDOUT)
    try:
        request = _parse_request(_read_line())
        session = make_session(request, writer)
    except (msgspec.MsgspecError, ConfigError, ValueError) as error:
        log(f"The request cannot be run: {error}")
        return Exit.BAD_REQUEST
    report_timeout(request.timeout_s)
    try:
        session.run()
    except ReportUnwrittenError:
        return Exit.STDOUT_CLOSED
    return Exit.REPORTED


def _read_line() -> bytes:
    """Return stdin up to its first newline or its end."""
    line = b""
    while len(line) <= _MAX_REQUEST_BYTES:
        piece = os.read(_STDIN, _MAX_REQUEST_BYTES)
        line += piece
        if not piece or b"\n" in piece:
            return line.partition(b"\n")[0]
    raise ValueError(f"it is longer than {_MAX_REQUEST_BYTES:,} bytes")


def _parse_request(line: bytes) -> FetchRequest:
    request = msgspec.json.decode(line, type=FetchRequest)
    if request.profile is not Profile.HTTP:
        raise ValueError(f"this fetcher has no profile {request.profile!r}")
    if request.timeout_s <= 0 or request.max_body_bytes <= 0 or request.attempt < 0:
        raise ValueError("timeout_s, max_body_bytes and attempt must be positive")
    return request


if __name__ == "__main__":
    main()
