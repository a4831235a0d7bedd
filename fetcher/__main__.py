"""`python -m fetcher`: reads one request line from stdin and writes an NDJSON report to stdout.

This module loads only the watchdog. The child that the watchdog starts loads the rest, so that its
memory is not copied while it fetches, and the watchdog stays small.
"""

import gc
import os
import sys
from collections.abc import Callable

from fetcher.streams import open_closed_streams
from fetcher.watchdog import Exit, run_with_watchdog

_IDLE_S = 600.0
_USAGE = "Usage: python -m fetcher [--preload] [--idle-timeout SECONDS]"
#: New objects after which the garbage collector runs: about 10 MB. With Python's default of 700 it
#: runs many times in a fetch, and the fetcher makes few reference cycles.
_COLLECT_AFTER = 50_000


def main() -> None:
    """Run the fetch under the watchdog, with the options of the command line."""
    open_closed_streams()
    idle_s, is_preloaded = _parse_options(sys.argv[1:])
    code = run_with_watchdog(_preload_and_fetch if is_preloaded else _fetch, idle_s)
    # Exit at once: there is nothing to clean up, and a resolver thread may still be blocked.
    os._exit(code)


def _parse_options(arguments: list[str]) -> tuple[float, bool]:
    """Return the number of seconds to wait for a request, and whether to preload.

    The options are parsed by hand because importing argparse would take a tenth of the start time.
    """
    is_preloaded = "--preload" in arguments
    if is_preloaded:
        arguments.remove("--preload")
    match arguments:
        case []:
            return _IDLE_S, is_preloaded
        case ["--idle-timeout", seconds] if seconds.isdecimal():
            return float(seconds), is_preloaded
    sys.exit(_USAGE)


def _fetch(report_timeout: Callable[[float], None]) -> Exit:
    gc.disable()
    from fetcher.fetch import run  # noqa: PLC0415 - see the module's docstring

    _limit_collections()
    return run(report_timeout)


def _preload_and_fetch(report_timeout: Callable[[float], None]) -> Exit:
    gc.disable()
    from fetcher.fetch import run  # noqa: PLC0415 - see the module's docstring
    from fetcher.preload import preload  # noqa: PLC0415 - see the module's docstring

    preload()
    _limit_collections()
    return run(report_timeout, is_ready=True)


def _limit_collections() -> None:
    """Leave what was loaded out of all collections, and collect new objects rarely."""
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    gc.enable()


if __name__ == "__main__":
    main()
