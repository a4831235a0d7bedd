"""How the attempts of a scan look in a terminal and in a pipe.

All fields of `Attempt` are shown by their names, so that a new one appears without a change here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from safeurl.cli.view.screen import Screen
from safeurl.defang import safe_text
from safeurl.model.attempt import Attempt, PhaseTimes, SandboxFacts

#: As on other lines of a terminal: what names a container to a person.
_SHORT_ID = 12
_NAMES = tuple(field.name for field in fields(Attempt) if field.name != "scan_id")


def print_attempts(screen: Screen, attempts: Sequence[Attempt]) -> None:
    """Print the attempts, the first one first: every field in a pipe, what is known in a terminal.

    Nothing is printed of a scan that nobody has claimed.
    """
    if not attempts:
        return
    if not screen.is_terminal:
        rows = [[_text(getattr(each, name)) for name in _NAMES] for each in attempts]
        screen.tabbed([_NAMES, *rows])
        return
    names = ("attempt", "started", "end", "worker", "sandbox and phases")
    screen.table(
        names,
        [
            (
                str(each.attempt),
                each.started_at.strftime("%H:%M:%SZ"),
                _end(each),
                safe_text(each.owner),
                "; ".join(words for words in (sandbox_words(each), _phases(each)) if words),
            )
            for each in attempts
        ],
    )


def sandbox_words(attempt: Attempt) -> str:
    """Return what is known of the attempt's sandbox in one line; empty if nothing is."""
    return ", ".join(_known(attempt))


def _phases(attempt: Attempt) -> str:
    """Return how long the phases took, in milliseconds; empty if that is not known."""
    took = {field.name: getattr(attempt, field.name) for field in fields(PhaseTimes)}
    known = [f"{name.removesuffix('_ms')} {ms:,.0f}" for name, ms in took.items() if ms is not None]
    return f"phases in ms: {', '.join(known)}" if known else ""


def _end(attempt: Attempt) -> str:
    if attempt.ended_at is None:
        return "running"
    took = (attempt.ended_at - attempt.started_at).total_seconds()
    counts = ", counts as a failure" if attempt.counts_as_failure else ""
    return f"{attempt.outcome} after {took:.2f} s{counts}"


def _known(attempt: Attempt) -> Iterator[str]:
    # Of the phases only the one in which the sandbox works.
    phases = {field.name for field in fields(PhaseTimes)} - {"fetch_ms"}
    for field in fields(SandboxFacts):
        if field.name in phases:
            continue
        value = getattr(attempt, field.name)
        name = field.name.replace("_", " ")
        match value:
            case None | False:
                continue
            case True:
                yield name
            case float():
                yield f"{name.removesuffix(' ms')} {value:,.0f} ms"
            case int():
                yield f"{name} {value:,}"
            case _:
                yield f"{name} {safe_text(str(value))[:_SHORT_ID]}"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case bool():
            return str(value).lower()
        case _:
            return safe_text(str(value))
