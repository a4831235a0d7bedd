"""Prints scans: as tables with colours in a terminal, as plain lines in a pipe.

Titles, headers and URLs come from hostile pages. The screen cleans all of them. This module cuts
them to the length of a line, and defangs URLs so that they cannot be clicked.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from safeurl.cli.view.attempts import sandbox_words
from safeurl.cli.view.screen import Cell, Column, Grid, Screen
from safeurl.defang import safe_text, safe_url
from safeurl.model.attempt import Attempt
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import Evidence
from safeurl.model.scan import AuditEntry, Scan, VerdictSummary
from safeurl.model.stored_evidence import read_evidence
from safeurl.model.verdict import Hit, Judgement, Verdict, is_concluded
from safeurl.model.view import ScanView
from safeurl.printable import counted
from safeurl.state import Outcome, State

STYLES = {
    Judgement.MALICIOUS: "bold red",
    Judgement.SUSPICIOUS: "bold yellow",
    Judgement.BENIGN: "bold green",
    Judgement.INCONCLUSIVE: "bold cyan",
}
STATE_STYLES = {
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.TIMED_OUT: "magenta",
}
#: A cancel is neither a failure nor a result, so it has its own style.
_CANCELLED_STYLE = "bright_black"
_MAX_HITS = 8
#: From this width on, each row of the complete list fits on a line.
_WIDE = 120
#: From this width on, the panel of a verdict shows the names of rules.
_WIDE_ENOUGH_FOR_RULES = 72
#: The columns of a fact: its name and its value.
FACTS = (Column(style="dim", whole=True), Column())


def print_view(screen: Screen, view: ScanView) -> None:
    """Print a scan, final or not: verdict, reasons, chain, artefacts."""
    verdict = read_verdict(view)
    facts = list(_facts(view, verdict))
    if screen.is_terminal:
        hits = _hits(
            verdict.hits if verdict else (), with_rules=screen.width >= _WIDE_ENOUGH_FOR_RULES
        )
        title, style = _headline(view, verdict)
        screen.panel(title, style, [Grid(columns=FACTS, rows=facts), *hits])
        return
    for name, value in facts:
        screen.line(f"{name}: {value}")
    for hit in verdict.hits if verdict else ():
        screen.line(f"reason: {_points(hit)} {safe_text(hit.rule)} — {safe_text(hit.reason)}")


def read_verdict(view: ScanView) -> Verdict | None:
    """Return the verdict that is stored with the result."""
    if view.result is None:
        return None
    return msgspec.json.decode(view.result.verdict_json, type=Verdict)


def _is_cancelled(scan: Scan) -> bool:
    return scan.outcome is Outcome.CANCELLED


def _headline(view: ScanView, verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return view.scan.state, "bold blue"
    judgement = verdict.judgement
    if not is_concluded(view.scan, judgement):
        return "CANCELLED", _CANCELLED_STYLE
    if view.scan.state is not State.COMPLETED and judgement is Judgement.INCONCLUSIVE:
        return f"{view.scan.state} · not concluded", STATE_STYLES.get(view.scan.state, "bold blue")
    return f"{judgement.upper()} · {verdict.score}/100", STYLES[judgement]


def _hits(hits: Sequence[Hit], *, with_rules: bool) -> list[Grid]:
    if not hits:
        return []
    columns = (
        Column(name="weight", style="bold", whole=True, right=True),
        Column(name="reason"),
        *[Column(name="rule", style="dim", whole=True)] * with_rules,
    )
    rows: list[list[Cell]] = [
        [_points(hit), safe_text(hit.reason), *[safe_text(hit.rule)] * with_rules]
        for hit in hits[:_MAX_HITS]
    ]
    if len(hits) > _MAX_HITS:
        rows.append(["", (f"and {len(hits) - _MAX_HITS} more", "dim"), *[""] * with_rules])
    return [Grid(columns=columns, rows=rows)]


def _points(hit: Hit) -> str:
    return f"{hit.weight * 100:+.0f}"


def _facts(view: ScanView, verdict: Verdict | None) -> Iterable[tuple[str, str]]:
    scan, result = view.scan, view.result
    yield "scan", scan.id
    yield "url", safe_url(scan.url)
    yield "state", f"{scan.state} (attempt {scan.attempt})"
    if scan.outcome:
        yield "outcome", f"{scan.outcome} — {OUTCOME_MESSAGES[scan.outcome]}"
    if scan.detail:
        yield "detail", safe_text(scan.detail)
    if verdict and is_concluded(scan, verdict.judgement):
        yield "verdict", f"{verdict.judgement}, {verdict.score}/100 — {safe_text(verdict.summary)}"
        if verdict.categories:
            yield "categories", ", ".join(verdict.categories)
    if result and result.title:
        yield "title", safe_text(result.title)
    yield from _chain(view)
    for artefact in view.artefacts:
        size = counted(artefact.size_bytes, "byte")
        yield safe_text(artefact.kind), f"{size}, sha256 {artefact.sha256}"
    if scan.finished_at:
        yield "took", f"{(scan.finished_at - scan.created_at).total_seconds():.2f} s"


def _chain(view: ScanView) -> Iterable[tuple[str, str]]:
    if view.evidence_json is None:
        return
    try:
        evidence = read_evidence(view.evidence_json)
    except msgspec.MsgspecError:
        yield "evidence", "written by another version of SafeURL; --json shows it as it is stored"
        return
    for number, hop in enumerate(evidence.hops, start=1):
        where = f"{hop.address}:{hop.port}" if hop.address else "no connection"
        status = hop.status if hop.status is not None else safe_text(hop.error)
        yield f"hop {number}", f"{status}  {safe_url(hop.url)}  ({where})"
    for refused in _refused(evidence):
        yield "refused", refused


def _refused(evidence: Evidence) -> Iterable[str]:
    """Yield each refusal once: the fetcher's, and the gateway's, which may have further ones.

    The gateway's come last, so that its address replaces a different one of the sandbox.
    """
    asked = evidence.egress.decisions if evidence.egress else ()
    found = (
        *((each.host, each.port, each.rule, each.address) for each in evidence.refusals),
        *(
            (each.name, each.port, each.rule, next(iter(each.addresses), ""))
            for each in asked
            if not each.allowed
        ),
    )
    distinct: dict[tuple[str, int, str], str] = {}
    for host, port, rule, address in found:
        key = (host.strip("[]"), port, rule)
        distinct[key] = address or distinct.get(key, "")
    for (host, port, rule), address in distinct.items():
        where = f"{safe_text(host) or 'unreadable'}:{port} {safe_text(address)}".rstrip()
        yield f"{where} — {safe_text(rule) or 'unknown rule'}"


def print_audit(
    screen: Screen, entries: Sequence[AuditEntry], attempts: Sequence[Attempt] = ()
) -> None:
    """Print the audit trail, oldest first: completely in a pipe, shortened in a terminal.

    In a terminal, `attempts` give the facts of the sandboxes.
    """
    if screen.is_terminal:
        known = {each.attempt: each for each in attempts}
        steps = [
            (
                e.at.strftime("%H:%M:%SZ"),
                _styled(_move(e) or safe_text(e.event)),
                safe_text(e.actor),
                safe_text(_gist(e, known)),
            )
            for e in entries
        ]
        screen.table(("time", "step", "actor", "detail"), steps)
        return
    rows = [
        (
            stamp(e.at),
            safe_text(e.event),
            _move(e),
            str(e.version),
            safe_text(e.actor),
            safe_text(_why(e)),
        )
        for e in entries
    ]
    screen.tabbed([("time", "event", "move", "version", "actor", "detail"), *rows])


def _move(entry: AuditEntry) -> str:
    if entry.to_state is None:
        return ""
    return f"{entry.from_state} → {entry.to_state}" if entry.from_state else str(entry.to_state)


def _why(entry: AuditEntry) -> str:
    return " ".join(part for part in (entry.outcome, entry.detail) if part)


def _gist(entry: AuditEntry, attempts: Mapping[int, Attempt]) -> str:
    """Return the reason; for the line of a sandbox, the facts in the row of its attempt."""
    if entry.event == "sandbox" and entry.attempt in attempts:
        return sandbox_words(attempts[entry.attempt]) or _why(entry)
    return _why(entry)


def print_list(screen: Screen, scans: Sequence[Scan], judged: Mapping[str, VerdictSummary]) -> None:
    """Print scans, newest first; a narrow terminal gets no times."""
    if not screen.is_terminal:
        names = ("scan", "submitted", "state", "outcome", "verdict", "url")
        screen.tabbed([names, *(_line(scan, judged.get(scan.id)) for scan in scans)])
        return
    short = [(s.id, _styled(_end(s, judged.get(s.id))), safe_url(s.url)) for s in scans]
    if screen.width < _WIDE:
        screen.table(("scan", "result", "url"), short)
        return
    wide = [
        (s.id, stamp(s.created_at), end, str(s.outcome or ""), url)
        for s, (_, end, url) in zip(scans, short, strict=True)
    ]
    screen.table(("scan", "submitted", "result", "outcome", "url"), wide)


def _line(scan: Scan, judged: VerdictSummary | None) -> tuple[str, ...]:
    verdict = judged.verdict if judged else ""
    at, outcome = stamp(scan.created_at), str(scan.outcome or "")
    return scan.id, at, str(scan.state), outcome, verdict, safe_url(scan.url)


def _end(scan: Scan, judged: VerdictSummary | None) -> str:
    """Return the verdict on a page that was seen, or else the state of the scan."""
    if scan.state is State.COMPLETED and judged:
        return f"{judged.verdict} {judged.score}"
    return Outcome.CANCELLED if _is_cancelled(scan) else str(scan.state)


def list_document(
    scans: Sequence[Scan], judged: Mapping[str, VerdictSummary]
) -> list[Mapping[str, object]]:
    """Return the list as a document."""
    rows: list[Mapping[str, object]] = []
    for scan in scans:
        of = judged.get(scan.id)
        ended = {"verdict": of.verdict if of else None, "score": of.score if of else None}
        status = {"state": scan.state, "outcome": scan.outcome}
        created = {"created_at": msgspec.to_builtins(scan.created_at)}
        rows.append({"id": scan.id, "url": scan.url, **created, **status, **ended})
    return rows


def _styled(cell: str) -> tuple[str, str]:
    """Return a result in the colour of its state or judgement."""
    word = cell.partition(" ")[0]
    if word in {*Judgement}:
        return cell, STYLES[Judgement(word)]
    if word == Outcome.CANCELLED:
        return cell, _CANCELLED_STYLE
    known = word in State.__members__
    return cell, STATE_STYLES.get(State(word), "yellow") if known else ""


def stamp(at: datetime) -> str:
    """Return a time to the second, UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def view_document(view: ScanView) -> Mapping[str, object]:
    """Return the scan with all its stored data as a document."""
    return {
        "scan": msgspec.to_builtins(view.scan),
        "verdict": msgspec.to_builtins(read_verdict(view)),
        "evidence": json.loads(view.evidence_json) if view.evidence_json else None,
        "artefacts": msgspec.to_builtins(view.artefacts),
        "attempts": msgspec.to_builtins(view.attempts),
        "audit": msgspec.to_builtins(view.audit),
    }
