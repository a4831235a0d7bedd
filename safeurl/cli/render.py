"""How scans look in a terminal: tables and colour there, plain lines in a pipe.

Titles, headers and URLs come from hostile pages: they are stripped of control characters, never
read as markup, and URLs are defanged so that nobody clicks them.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from safeurl.report import Evidence
from safeurl.scan import AuditEntry, Judged, Scan
from safeurl.service import ScanView
from safeurl.state import OUTCOME_WORDS, State
from safeurl.url import defang
from safeurl.verdict import Hit, Judgement, Verdict

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
_MAX_HITS = 8
_MAX_TEXT = 160
#: Columns from which the whole list fits a line each.
_WIDE = 120
#: What a table's last column needs, and a verdict's panel for the names of rules.
_LEAST_LAST, _ROOM_FOR_RULES = 16, 72


def clean(text: str, limit: int = _MAX_TEXT) -> str:
    """Make hostile text fit for a terminal: no control or bidirectional marks, one line, cut."""
    shown = "".join(
        " " if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Cs"} else c for c in text
    )
    folded = " ".join(shown.split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def safe_url(url: str) -> str:
    """Return the URL defanged and fit for a terminal."""
    return clean(defang(url))


def print_view(console: Console, view: ScanView) -> None:
    """Print a finished or unfinished scan: verdict, reasons, chain, artefacts."""
    verdict = read_verdict(view)
    if console.is_terminal:
        console.print(_panel(console, view, verdict))
        return
    for name, value in _facts(view, verdict):
        console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    for hit in verdict.hits if verdict else ():
        line = f"reason: {_points(hit)} {hit.rule} — {clean(hit.reason)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def read_verdict(view: ScanView) -> Verdict | None:
    """Return the verdict that was stored with the result."""
    if view.result is None:
        return None
    return msgspec.json.decode(view.result.verdict_json, type=Verdict)


def _panel(console: Console, view: ScanView, verdict: Verdict | None) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(view, verdict):
        facts.add_row(name, Text(value))
    parts: list[RenderableType] = [facts]
    if verdict and verdict.hits:
        parts += [Text(), _hits(verdict.hits, with_rules=console.width >= _ROOM_FOR_RULES)]
    title, style = _headline(view, verdict)
    return Panel(
        Group(*parts), title=Text(f" {title} ", style=style), border_style=style, padding=(1, 2)
    )


def _headline(view: ScanView, verdict: Verdict | None) -> tuple[str, str]:
    if verdict is None:
        return view.scan.state, "bold blue"
    judgement = verdict.judgement
    if view.scan.state is not State.COMPLETED and judgement is Judgement.INCONCLUSIVE:
        return f"{view.scan.state} · not concluded", STATE_STYLES.get(view.scan.state, "bold blue")
    return f"{judgement.upper()} · {verdict.score}/100", STYLES[judgement]


def _hits(hits: Sequence[Hit], *, with_rules: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("weight", justify="right", style="bold", no_wrap=True)
    table.add_column("reason", overflow="fold")
    if with_rules:
        table.add_column("rule", style="dim", no_wrap=True)
    for hit in hits[:_MAX_HITS]:
        table.add_row(_points(hit), Text(clean(hit.reason)), *[Text(hit.rule)] * with_rules)
    if len(hits) > _MAX_HITS:
        table.add_row("", Text(f"and {len(hits) - _MAX_HITS} more", style="dim"))
    return table


def _points(hit: Hit) -> str:
    return f"{hit.weight * 100:+.0f}"


def _facts(view: ScanView, verdict: Verdict | None) -> Iterable[tuple[str, str]]:
    scan, result = view.scan, view.result
    yield "scan", scan.id
    yield "url", safe_url(scan.url)
    yield "state", f"{scan.state} (attempt {scan.attempt})"
    if scan.outcome:
        yield "outcome", f"{scan.outcome} — {OUTCOME_WORDS[scan.outcome]}"
    if scan.detail:
        yield "detail", clean(scan.detail)
    if verdict:
        yield "verdict", f"{verdict.judgement}, {verdict.score}/100 — {clean(verdict.summary)}"
        if verdict.categories:
            yield "categories", ", ".join(verdict.categories)
    if result and result.title:
        yield "title", clean(result.title)
    yield from _chain(view)
    for artefact in view.artefacts:
        yield artefact.kind, f"{artefact.size_bytes:,} bytes, sha256 {artefact.sha256}"
    if scan.finished_at:
        yield "took", f"{(scan.finished_at - scan.created_at).total_seconds():.2f} s"


def _chain(view: ScanView) -> Iterable[tuple[str, str]]:
    if view.evidence_json is None:
        return
    evidence = msgspec.json.decode(view.evidence_json, type=Evidence)
    for number, hop in enumerate(evidence.hops, start=1):
        where = f"{hop.address}:{hop.port}" if hop.address else "no connection"
        status = hop.status if hop.status is not None else clean(hop.error)
        yield f"hop {number}", f"{status}  {safe_url(hop.url)}  ({where})"
    for refused in _refused(evidence):
        yield "refused", refused


def _refused(evidence: Evidence) -> Iterable[str]:
    """Yield each refusal once: the fetcher's, and the gateway's, which hold what it kept quiet."""
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
        distinct.setdefault((host.strip("[]"), port, rule), address)
    for (host, port, rule), address in distinct.items():
        where = f"{clean(host) or 'unreadable'}:{port} {clean(address)}".rstrip()
        yield f"{where} — {clean(rule)}"


def print_audit(console: Console, entries: Sequence[AuditEntry]) -> None:
    """Print the audit trail, oldest first: all of it in a pipe, what fits in a terminal."""
    if console.is_terminal:
        steps = [
            (e.at.strftime("%H:%M:%SZ"), _move(e) or e.event, clean(e.actor), clean(_gist(e)))
            for e in entries
        ]
        print_table(console, ("time", "step", "actor", "detail"), steps)
        return
    rows = [
        (stamp(e.at), e.event, _move(e), str(e.version), clean(e.actor), clean(_why(e)))
        for e in entries
    ]
    print_lines(console, ("time", "event", "move", "version", "actor", "detail"), rows)


def _move(entry: AuditEntry) -> str:
    if entry.to_state is None:
        return ""
    return f"{entry.from_state} → {entry.to_state}" if entry.from_state else str(entry.to_state)


def _why(entry: AuditEntry) -> str:
    return " ".join(part for part in (entry.outcome, entry.detail) if part)


def _gist(entry: AuditEntry) -> str:
    """Return why, with a document of facts made short."""
    if entry.event != "sandbox" or entry.detail is None:
        return _why(entry)
    facts = json.loads(entry.detail)
    took = facts.get("ms", {}).get("run")
    ended = f"status {facts.get('exit_code')}" + (f" after {took:.0f} ms" if took else "")
    return str(facts.get("error") or ended)


def print_list(console: Console, scans: Sequence[Scan], judged: Mapping[str, Judged]) -> None:
    """Print scans, newest first; a narrow terminal has no room for their times."""
    if not console.is_terminal:
        names: tuple[str, ...] = ("scan", "submitted", "state", "outcome", "verdict", "url")
        rows = [_line(scan, judged.get(scan.id)) for scan in scans]
        print_lines(console, names, rows)
        return
    short = [(s.id, _end(s, judged.get(s.id)), safe_url(s.url)) for s in scans]
    if console.width < _WIDE:
        print_table(console, ("scan", "result", "url"), short)
        return
    wide = [
        (s.id, stamp(s.created_at), end, str(s.outcome or ""), url)
        for s, (_, end, url) in zip(scans, short, strict=True)
    ]
    print_table(console, ("scan", "submitted", "result", "outcome", "url"), wide)


def _line(scan: Scan, judged: Judged | None) -> tuple[str, ...]:
    verdict = judged.verdict if judged else ""
    at, outcome = stamp(scan.created_at), str(scan.outcome or "")
    return scan.id, at, str(scan.state), outcome, verdict, safe_url(scan.url)


def _end(scan: Scan, judged: Judged | None) -> str:
    """Return what was concluded of a page that was seen, else where the scan stands."""
    if scan.state is State.COMPLETED and judged:
        return f"{judged.verdict} {judged.score}"
    return str(scan.state)


def list_as_json(scans: Sequence[Scan], judged: Mapping[str, Judged]) -> str:
    """Return the list as a JSON document."""
    rows = []
    for scan in scans:
        of = judged.get(scan.id)
        ended = {"verdict": of.verdict if of else None, "score": of.score if of else None}
        stands = {"state": scan.state, "outcome": scan.outcome}
        created = {"created_at": msgspec.to_builtins(scan.created_at)}
        rows.append({"id": scan.id, "url": scan.url, **created, **stands, **ended})
    return json.dumps(rows, indent=2)


def print_lines(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print tab-separated lines; not through rich, which would turn the tabs into spaces."""
    for row in (names, *rows):
        console.file.write("\t".join(row) + "\n")


def print_table(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of which only the last column is folded, or lines where that has no room."""
    *whole, _ = zip(names, *rows, strict=True)
    if console.width - sum(max(map(cell_len, cells)) + 2 for cells in whole) < _LEAST_LAST:
        _print_blocks(console, names, rows)
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=name != names[-1], overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_cell_style(cell)) for cell in row))
    console.print(table)


def _print_blocks(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row as lines that the terminal may break: nothing is cut, ids least of all."""
    for row in rows:
        first, *others = (
            Text.assemble((f"{name} ", "dim"), (cell, _cell_style(cell)))
            for name, cell in zip(names, row, strict=True)
            if cell
        )
        console.print(first, soft_wrap=True)
        for line in others:
            console.print(Text("  ") + line, soft_wrap=True)


def _cell_style(cell: str) -> str:
    word = cell.partition(" ")[0]
    if word in {*Judgement}:
        return STYLES[Judgement(word)]
    return STATE_STYLES.get(State(word), "yellow") if word in State.__members__ else ""


def stamp(at: datetime) -> str:
    """Return a time to the second, UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def as_json(view: ScanView, indent: int | None = 2) -> str:
    """Return the scan with everything known about it as one JSON document."""
    document = {
        "scan": msgspec.to_builtins(view.scan),
        "verdict": msgspec.to_builtins(read_verdict(view)),
        "evidence": json.loads(view.evidence_json) if view.evidence_json else None,
        "artefacts": msgspec.to_builtins(view.artefacts),
        "audit": msgspec.to_builtins(view.audit),
    }
    return json.dumps(document, indent=indent, ensure_ascii=True)
