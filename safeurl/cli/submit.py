"""`submit-scan`: hand scans to a running system."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, BinaryIO

import typer

from safeurl.bootstrap import open_service
from safeurl.cli.entry import (
    EXIT_USAGE,
    EnvFile,
    complain,
    leave,
    name_env_file,
    note,
    read_settings,
)
from safeurl.cli.foreground import WORST_FIRST, verdict_code
from safeurl.cli.render import print_view, view_document
from safeurl.cli.screen import Screen
from safeurl.cli.watch import is_ended, watch
from safeurl.defang import safe_text, safe_url
from safeurl.errors import RequestError
from safeurl.pasted import find_urls
from safeurl.service import MAX_SUBMIT, ScanView, Service, Submission
from safeurl.settings import Settings

_EXIT_TIMEOUT = 75
#: More of a line than this is not kept; any URL that can be scanned is far shorter.
_MAX_LINE = 16 * 1024
#: A reason is a sentence of ours, which quotes little.
_MAX_REASON = 400


def submit(  # noqa: PLR0913 - each is an option of the command
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL...", help="What to scan; `-` or none reads lines from a pipe."),
    ] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdicts.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait at most, with --wait.")
    ] = 300.0,
    source: Annotated[str, typer.Option(help="Who asks, for the audit trail.")] = "cli",
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    env_file: EnvFile = None,
) -> None:
    """Hand URLs to a running SafeURL.

    An argument or a line may hold several URLs, and words around them, which are left out.
    Prints one scan id per URL; with --json a document a line, also for URLs that are refused.
    Exit code: 0 all are handed in, 2 some are refused.
    With --wait, the first of these that holds: 20 some are malicious, 75 some have not ended
    in time, 2 some are refused, 10 some are suspicious, 30 some are not concluded, 0 all benign.
    """
    name_env_file(env_file)
    order = _Order(
        urls=tuple(_given(urls or [])),
        wait_s=timeout if wait else None,
        source=source,
        as_document=as_document,
    )
    leave(asyncio.run(_run(read_settings(), order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the command was asked to do."""

    urls: tuple[str, ...]
    #: None: do not wait.
    wait_s: float | None
    source: str
    as_document: bool


def _given(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the URLs of the arguments, and those on standard input where it is asked for."""
    reads_input = not arguments or "-" in arguments
    if reads_input and (sys.stdin is None or (not arguments and sys.stdin.isatty())):
        raise RequestError("Name at least one URL, or pipe a list of them.")
    for argument in arguments:
        if argument != "-":
            yield from _found(argument) or [argument]
    if reads_input:
        yield from _lines(sys.stdin.buffer)


def _found(text: str) -> tuple[str, ...]:
    """Return the URLs in a text, and say which words of it are none."""
    found = find_urls(text)
    if found.left_out:
        note(f"Left out, because it is no URL: {safe_text(' '.join(found.left_out))}")
    return found.urls


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Return the lines that are neither empty nor comments; bytes that are no text are refused."""
    while line := stream.readline(_MAX_LINE):
        text = line.decode(errors="surrogateescape").strip()
        is_whole = len(line) < _MAX_LINE or line.endswith(b"\n")
        if text and not text.startswith("#"):
            # What was cut off could be the rest of a URL: such a line is refused as too long.
            yield from _found(text) if is_whole else [text]
        while line and not line.endswith(b"\n"):
            line = stream.readline(_MAX_LINE)  # the rest of a line that is too long


async def _run(settings: Settings, order: _Order) -> int:
    if not order.urls:
        raise RequestError("There is no URL on standard input. Give one a line.")
    async with open_service(settings) as service:
        good, refused = service.sift(order.urls)
        for url, error in refused:
            complain(f"{safe_text(url)}: {safe_text(str(error), _MAX_REASON)}")
            if order.as_document:
                _print_line(
                    submitted_url=url, error=error.code, reason=error.reason, message=str(error)
                )
        if not good:
            return EXIT_USAGE
        ids: list[str] = []
        warned: set[str] = set()
        for start in range(0, len(good), MAX_SUBMIT):
            batch = good[start : start + MAX_SUBMIT]
            submission = await service.submit(batch, source=order.source)
            # At once: these stand even if the next batch is not taken, or nobody waits to the end.
            _tell(submission, order, warned)
            ids += [scan.id for scan in submission.scans]
        if order.wait_s is None:
            return EXIT_USAGE if refused else 0
        views = await _wait(service, ids, order.wait_s, remote=bool(settings.turso_connection_url))
    for view in views:
        _print(view, as_document=order.as_document)
    return _code(views, refused_any=bool(refused))


def _print(view: ScanView, *, as_document: bool) -> None:
    if as_document:
        Screen().document(view_document(view))
    else:
        print_view(Screen(), view)


def _print_line(**document: object) -> None:
    Screen().document(document)


async def _wait(
    service: Service, ids: Sequence[str], timeout_s: float, *, remote: bool
) -> list[ScanView]:
    screen = Screen(stderr=True)
    deadline = asyncio.get_running_loop().time() + timeout_s
    for scan_id in ids:
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        await watch(service, scan_id, screen, timeout_s=left, remote=remote)
    return [await service.view(scan_id) for scan_id in ids]


def _code(views: Sequence[ScanView], *, refused_any: bool) -> int:
    ended = [view for view in views if is_ended(view.scan)]
    worst, *others = WORST_FIRST
    codes = {verdict_code(view) for view in ended}
    if len(ended) < len(views):
        complain("Not every scan ended in time; they go on. `safeurl status ID` shows them.")
        codes.add(_EXIT_TIMEOUT)
    if refused_any:
        codes.add(EXIT_USAGE)
    # Whoever lets pass what is not malicious must hear of that whatever became of the others.
    return next(code for code in (worst, _EXIT_TIMEOUT, EXIT_USAGE, *others) if code in codes)


def _tell(submission: Submission, order: _Order, warned: set[str]) -> None:
    """Print the ids: on standard output, or, where results are to come there, beside it."""
    screen, beside = Screen(), Screen(stderr=True)
    if submission.warning not in {"", *warned}:
        warned.add(submission.warning)
        beside.line(("Warning:", "bold yellow"), f" {submission.warning}")
    for scan in submission.scans:
        if order.wait_s is None and order.as_document:
            _print_line(
                id=scan.id,
                url=scan.url,
                submitted_url=scan.submitted_url,
                queued=submission.queued,
            )
        elif order.wait_s is None:
            screen.line(scan.id)
        else:
            beside.line(f"{scan.id}  {safe_url(scan.url)}")
    screen.flush()
