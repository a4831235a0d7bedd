"""`submit-scan`: submits scans to a running system."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import typer

from safeurl.bootstrap import open_service
from safeurl.cli.commands.foreground import WORST_FIRST, verdict_code
from safeurl.cli.commands.submit_input import Given, read_given
from safeurl.cli.commands.submit_report import Intake
from safeurl.cli.entry import EXIT_USAGE, EnvFile, complain, leave, name_env_file, read_settings
from safeurl.cli.view.render import print_view, view_document
from safeurl.cli.view.screen import Screen
from safeurl.cli.view.watch import is_ended, watch
from safeurl.errors import RequestError
from safeurl.model.view import ScanView
from safeurl.service import Service
from safeurl.settings import Settings

_EXIT_TIMEOUT = 75


def submit(  # noqa: PLR0913 - each is an option of the command
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL...", help="What to scan; `-` or none reads lines from a pipe."),
    ] = None,
    *,
    files: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="PATH", help="Read lines from this file; `-` is a pipe."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the verdicts.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait at most, with --wait.")
    ] = 300.0,
    source: Annotated[str, typer.Option(help="Who submits, for the audit trail.")] = "cli",
    as_document: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    env_file: EnvFile = None,
) -> None:
    """Submit URLs to a running SafeURL.

    An argument or a line may hold several URLs; other words in it are left out. Lines are UTF-8
    or UTF-16. Empty lines, lines that begin with `#` and URLs of an earlier line are skipped. A
    refused URL is named with its line. The counts are printed after the last line.
    Prints one scan id per URL; with --json one document per URL, also for refused ones.
    Exit code: 0 all are submitted, 2 some are refused, 75 the database does not answer.
    With --wait, the first of these that holds: 20 some are malicious, 75 some have not ended
    in time, 2 some are refused, 10 some are suspicious, 30 some are not concluded, 0 all benign.
    """
    name_env_file(env_file)
    given = read_given(urls or [], files or [])
    order = _Order(
        # Before anything is opened: without a URL to submit, no file is created.
        given=chain([_first(given, files or [])], given),
        wait_s=timeout if wait else None,
        source=source,
        as_document=as_document,
    )
    leave(asyncio.run(_run(read_settings(), order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The options of the command."""

    given: Iterable[Given]
    #: None: do not wait.
    wait_s: float | None
    source: str
    as_document: bool


def _first(given: Iterator[Given], files: Sequence[str]) -> Given:
    for each in given:
        return each
    where = ", ".join(repr(name) for name in files if name != "-") or "standard input"
    on = "on" if where == "standard input" else "in"
    raise RequestError(f"There is no URL {on} {where}. Write one URL per line.")


async def _run(settings: Settings, order: _Order) -> int:
    async with open_service(settings) as service:
        intake = Intake(
            service,
            source=order.source,
            as_document=order.as_document,
            ids_only=order.wait_s is None,
        )
        await intake.take(order.given)
        refused_any = intake.refused > 0
        if order.wait_s is None or not intake.ids:
            return EXIT_USAGE if refused_any else 0
        remote = bool(settings.turso_connection_url)
        views = await _wait(service, intake.ids, order.wait_s, remote=remote)
    for view in views:
        _print(view, as_document=order.as_document)
    return _code(views, refused_any=refused_any)


def _print(view: ScanView, *, as_document: bool) -> None:
    if as_document:
        Screen().document(view_document(view))
    else:
        print_view(Screen(), view)


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
        complain(
            "Some scans have not ended in time; they continue. `safeurl status ID` shows them."
        )
        codes.add(_EXIT_TIMEOUT)
    if refused_any:
        codes.add(EXIT_USAGE)
    # A malicious verdict decides the exit code, whatever the results of the other scans are.
    return next(code for code in (worst, _EXIT_TIMEOUT, EXIT_USAGE, *others) if code in codes)
