"""`python -m fetcher`: one request line on stdin, a report in NDJSON on stdout."""

import importlib
import os
import sys
from collections.abc import Callable

import msgspec

from fetcher.http.session import make_session
from fetcher.report_writer import Reporter
from fetcher.streams import ReportUnwrittenError, open_missing, say
from fetcher.watchdog import Exit, run_guarded
from safeurl.errors import ConfigError
from safeurl.model.report import FetchRequest, Profile

_MAX_REQUEST_BYTES = 64 * 1024
_IDLE_S = 600.0
_USAGE = "Usage: python -m fetcher [--preload] [--idle-timeout SECONDS]"
_STDIN, _STDOUT, _STDERR = 0, 1, 2

#: What a fetch may load on its way; a sandbox started ahead loads it before it has a request.
_LATER = (
    "fetcher.http.tls",
    "fetcher.http.http2",
    "fetcher.page.prescan",
    "fetcher.page.dom",
    "brotli",
    "zstandard",
    "mmh3",
)


def main() -> None:
    """Run under the guard, with the options given on the command line."""
    open_missing()
    idle_s = _options(sys.argv[1:])
    code = run_guarded(_work, idle_s)
    # No clean-up is owed to anyone, and a thread may hang in the resolver.
    os._exit(code)


def _options(arguments: list[str]) -> float:
    """Preload if asked to, and return the seconds to wait for a request.

    Read by hand: argparse would cost a tenth of the start.
    """
    if "--preload" in arguments:
        arguments.remove("--preload")
        for name in _LATER:
            importlib.import_module(name)
    match arguments:
        case []:
            return _IDLE_S
        case ["--idle-timeout", seconds] if seconds.isdecimal():
            return float(seconds)
    sys.exit(_USAGE)


def _work(has_begun: Callable[[float], None]) -> Exit:
    # The report keeps the real stdout; whatever else is printed goes to stderr.
    reporter = Reporter(os.dup(_STDOUT))
    os.dup2(_STDERR, _STDOUT)
    try:
        request = _request(_read_line())
        session = make_session(request, reporter)
    except (msgspec.MsgspecError, ConfigError, ValueError) as error:
        say(f"The request cannot be run: {error}")
        return Exit.BAD_REQUEST
    has_begun(request.timeout_s)
    try:
        session.run()
    except ReportUnwrittenError:
        return Exit.STDOUT_CLOSED
    return Exit.REPORTED


def _read_line() -> bytes:
    """Return stdin up to its first newline or end."""
    line = b""
    while len(line) <= _MAX_REQUEST_BYTES:
        piece = os.read(_STDIN, _MAX_REQUEST_BYTES)
        line += piece
        if not piece or b"\n" in piece:
            return line.partition(b"\n")[0]
    raise ValueError(f"it is longer than {_MAX_REQUEST_BYTES:,} bytes")


def _request(line: bytes) -> FetchRequest:
    request = msgspec.json.decode(line, type=FetchRequest)
    if request.profile is not Profile.HTTP:
        raise ValueError(f"this fetcher has no profile {request.profile!r}")
    if request.timeout_s <= 0 or request.max_body_bytes <= 0 or request.attempt < 0:
        raise ValueError("timeout_s, max_body_bytes and attempt must be positive")
    return request


if __name__ == "__main__":
    main()
