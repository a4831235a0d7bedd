"""Reads the request, and runs its fetch."""

import os
from collections.abc import Callable

import msgspec

from fetcher.http.session import make_session
from fetcher.report_writer import ReportWriter
from fetcher.streams import ReportUnwrittenError, log
from fetcher.watchdog import Exit
from safeurl.errors import ConfigError
from safeurl.model.report import FetchRequest, Profile

_MAX_REQUEST_BYTES = 64 * 1024
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def run(report_timeout: Callable[[float], None], *, is_ready: bool = False) -> Exit:
    """Read the request line, fetch, and write the report.

    With `is_ready`, a line before the report says that the fetcher waits for its request.
    """
    # The report keeps the original stdout. Anything else that prints to stdout goes to stderr.
    writer = ReportWriter(os.dup(_STDOUT))
    os.dup2(_STDERR, _STDOUT)
    try:
        if is_ready:
            writer.ready()
        return _run(writer, report_timeout)
    except ReportUnwrittenError:
        return Exit.STDOUT_CLOSED


def _run(writer: ReportWriter, report_timeout: Callable[[float], None]) -> Exit:
    try:
        request = parse_request(_read_line())
        session = make_session(request, writer)
    except (msgspec.MsgspecError, ConfigError, ValueError) as error:
        log(f"The request cannot be run: {error}")
        return Exit.BAD_REQUEST
    report_timeout(request.timeout_s)
    session.run()
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


def parse_request(line: bytes) -> FetchRequest:
    """Return the request in a line; raise `MsgspecError` or `ValueError` if it cannot be run."""
    request = msgspec.json.decode(line, type=FetchRequest)
    if request.profile is not Profile.HTTP:
        raise ValueError(f"this fetcher has no profile {request.profile!r}")
    if request.timeout_s <= 0 or request.max_body_bytes <= 0 or request.attempt < 0:
        raise ValueError("timeout_s, max_body_bytes and attempt must be positive")
    return request
