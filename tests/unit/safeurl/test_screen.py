"""Nothing hostile reaches a terminal or a log: every field of every document, by every command."""

# ruff: noqa: SLF001 - what a command prints is private to its module, and is what is tested

import ast
import inspect
import io
import logging
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import pytest

from api.native.health import document as health_document
from safeurl.cli.commands import audit, backup, submit_report
from safeurl.cli.commands.daemons import announce
from safeurl.cli.commands.doctor import line
from safeurl.cli.commands.submit_input import Given
from safeurl.cli.commands.submit_report import Intake
from safeurl.cli.entry import complain
from safeurl.cli.logs import LineFormatter
from safeurl.cli.view.attempts import print_attempts
from safeurl.cli.view.health import print_health
from safeurl.cli.view.render import (
    list_document,
    print_audit,
    print_list,
    print_view,
    view_document,
)
from safeurl.cli.view.screen import Column, Grid, Screen
from safeurl.cli.view.watch import watch
from safeurl.errors import UrlRefusedError
from safeurl.model.attempt import Attempt
from safeurl.model.audit import AuditRow, Seal
from safeurl.model.records.backup import BackupSummary, RestoreSummary
from safeurl.model.scan import AuditEntry, Scan, VerdictSummary
from safeurl.model.view import ScanView
from safeurl.printable import is_unfit
from safeurl.service import Service
from safeurl.services.audit_verify import Verification
from safeurl.services.health import Health
from safeurl.services.submit import Submission
from safeurl.url import Reason
from tests.support.filled import fill
from worker.doctor.finding import Finding

ROOT = Path(__file__).parents[3]
HOSTILE = {
    "escape": "a\x1b[2J\x1b[5mb",
    "title": "a\x1b]0;owned\x07b",
    "link": "a\x1b]8;;https://evil.example\x1b\\b",
    "eight bits": "a\x9b2Jb\x90x\x9c",
    "line": "a\nstate: COMPLETED\r\nverdict: benign\x0b\x0c\x85\u2028\u2029b",
    "return": "a\rverdict: benign\b\b\x7fb",
    "nul": "a\x00\tb",
    "direction": "a\u202egnp.exe\u2066\u200fb",
    "no width": "a\u200b\u200d\u2060\ufeff\u00ad\u3164b",
    "emoji": "a :cat: :skull: https://evil.example/:warning:",
    "markup": "a [red]b[/red] [link=https://evil.example]c[/link] [/] [bold",
    "surrogate": "a\ud800b",
}
PICTURES = "\N{CAT}\N{SKULL}\N{WARNING SIGN}\N{CAT FACE}\N{CAT}"


def _view(text: str) -> None:
    print_view(Screen(), fill(ScanView, text))


def _audit(text: str) -> None:
    print_audit(Screen(), [fill(AuditEntry, text)] * 2, [fill(Attempt, text)])


def _attempts(text: str) -> None:
    print_attempts(Screen(), [fill(Attempt, text)] * 2)


def _list(text: str) -> None:
    scan = fill(Scan, text)
    print_list(Screen(), [scan, scan], {scan.id: fill(VerdictSummary, text)})


def _health(text: str) -> None:
    print_health(Screen(), fill(Health, text))


def _doctor(text: str) -> None:
    Screen().line(*line(fill(Finding, text)))


def _verify(text: str) -> None:
    audit._print(Screen(), fill(Verification, text))


def _trail(text: str) -> None:
    audit._print_trail(Screen(), [fill(AuditEntry, text)], [fill(Attempt, text)])


def _backup(text: str) -> None:
    for as_document in (False, True):
        backup._print(
            backup._backup_facts(Path(text), fill(BackupSummary, text)), as_document=as_document
        )


def _restore(text: str) -> None:
    restored = fill(RestoreSummary, text)
    for as_document in (False, True):
        backup._print(backup._restore_facts(Path(text), restored), as_document=as_document)


def _submit(text: str) -> None:
    submission = fill(Submission, text)
    found = submit_report._Found(text, Given(text, 1, text))
    for ids_only in (True, False):
        told = Intake(Service, source=text, as_document=False, ids_only=ids_only)  # type: ignore[arg-type]  # not asked
        told._report(submission, [found] * len(submission.scans))
        told._refuse(found, UrlRefusedError(text, text))
        told._refuse(found, UrlRefusedError(Reason.NO_URL, text))
        told._document(found, message=text)


async def _watch(text: str) -> None:
    class Service:
        """A service with one scan."""

        async def scan(self, _scan_id: str) -> Scan:
            scan: Scan = fill(Scan, text)
            return scan

    await watch(Service(), text, Screen(), ended=lambda _: True)  # type: ignore[arg-type]  # all that is asked


def _documents(text: str) -> None:
    scan = fill(Scan, text)
    screen = Screen()
    screen.document(view_document(fill(ScanView, text)), indent=2)
    screen.document(list_document([scan], {}), indent=2)
    screen.document(audit._verification(fill(Verification, text)), indent=2)
    screen.document({"kind": "row", **asdict(fill(AuditRow, text))}, indent=2)
    screen.document({"kind": "seal", **asdict(fill(Seal, text))}, indent=2)
    screen.document(asdict(fill(Finding, text)), indent=2)


def _health_document(text: str) -> None:
    facts = health_document(fill(Health, text)).model_dump(mode="json", by_alias=True)
    Screen().document(facts, indent=2)


def _pieces(text: str) -> None:
    """Print a text that no command prints, in each available form."""
    screen = Screen()
    screen.line(text, (text, "bold"))
    screen.table((text, text), [(text, (text, "red")), (text, text)])
    screen.panel(text, "red", [Grid(columns=(Column(name=text), Column()), rows=[(text, text)])])
    screen.tabbed([(text, text)])
    with screen.progress() as show:
        show(text)


_Way = Callable[[str], Awaitable[None] | None]

WAYS: tuple[_Way, ...] = (
    *(_view, _audit, _attempts, _list, _health, _doctor, _verify, _trail, _backup, _restore),
    *(_submit, _watch, _documents, _health_document, _pieces, complain),
)


async def _shown(way: _Way, text: str) -> str:
    """Return the output of a command on both streams."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        done = way(text)
        if inspect.isawaitable(done):
            await done
    return out.getvalue()


@pytest.fixture(params=["terminal", "pipe"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make rich use a terminal with colours, or none; both so wide that no line is broken."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "1500")
    monkeypatch.setenv("TERM", "xterm-256color")
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TTY_INTERACTIVE", "0")  # no spinner, which moves the cursor
    return str(request.param)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("kind", HOSTILE)
async def test_no_field_reaches_a_terminal_as_it_is(way: _Way, kind: str, screen: str) -> None:
    """No escape but our own colours, no mark that reorders or hides, no line that was forged."""
    calm, shown = await _shown(way, "calm"), await _shown(way, HOSTILE[kind])
    assert screen == "terminal" or "\x1b" not in shown
    # Our own colours, and the cursor that a spinner hides, are all there may be; we never blink.
    assert "\x1b[5m" not in shown
    bare = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[hl])", "", shown)
    unfit = {char for char in bare if is_unfit(char)} - {"\n", "\t"}
    assert unfit == set(), unfit
    assert "\r" not in shown
    assert len(shown.split("\n")) == len(calm.split("\n"))
    assert not set(PICTURES) & set(shown)
    if kind in {"emoji", "markup"}:
        assert HOSTILE[kind].split(" ")[1] in bare


#: Ways that print words; programs get URLs in JSON as they are.
_WORDS: tuple[_Way, ...] = tuple(way for way in WAYS if "document" not in way.__name__)
_LINKS = (
    "https://a.example/?q=http://b.example/x",
    "HTTP%3A%2f%2Fb.example%2Fx",
    "http%253A%252F%252Fb.example",
    "https:\\\\b.example",
    "https:\\/\\/b.example\\/x",
    "ftp://b.example/x",
    "see www.b.example",
    "http://[2606:4700::1111]/",
)
_LINK = re.compile(
    r"(?:https?|ftp)(?::|%(?:25)*3a)(?:[/\\]|%(?:25)*2f){2}|\bwww\.\w|b\.example", re.IGNORECASE
)


@pytest.mark.parametrize("way", _WORDS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("link", _LINKS)
async def test_no_field_reaches_a_terminal_as_a_link(
    way: _Way, link: str, screen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URLs in all text of all commands are defanged, also URLs inside URLs."""
    monkeypatch.setattr(Screen, "document", lambda *_arguments, **_options: None)
    assert not _LINK.search(await _shown(way, link)), screen


def test_our_own_address_can_be_opened() -> None:
    """`up` prints the address of its page."""
    out = io.StringIO()
    with redirect_stdout(out):
        announce("SafeURL's API listens on http://127.0.0.1:8321")
    assert out.getvalue() == "SafeURL's API listens on http://127.0.0.1:8321\n"


def test_every_unfit_character_is_known() -> None:
    """All controls, formats, separators of lines and surrogates that Unicode has."""
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category in {"Cc", "Cf", "Zl", "Zp", "Cs"}:
            assert is_unfit(chr(code)), hex(code)


def _printing(tree: ast.AST) -> Iterator[str]:
    """Yield the code that writes to a terminal without the screen."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [each.name for each in node.names]
            module = getattr(node, "module", None) or ""
            yield from (n for n in (*names, module) if n.split(".")[0] in {"rich", "click"})
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"print", "typer.echo", "typer.secho", "Console"} or re.fullmatch(
                r"sys\.(__)?std(out|err)(__)?(\.buffer)?\.(write|writelines)", called
            ):
                yield called


def test_nothing_prints_past_the_screen() -> None:
    """Only one module of the commands uses rich; the daemons print nothing, they log."""
    files = [
        path
        for folder in ("safeurl", "worker", "api")
        for path in (ROOT / folder).rglob("*.py")
        # The probe runs inside a sandbox, where its standard output is a protocol.
        if path != ROOT / "safeurl/cli/view/screen.py" and "probe" not in path.parts
    ]
    assert len(files) > len(WAYS)
    found = {
        str(path.relative_to(ROOT)): said
        for path in files
        if (said := [*_printing(ast.parse(path.read_text()))])
    }
    assert found == {}
    assert [*_printing(ast.parse("print(1); sys.stdout.write('x')"))] == [
        "print",
        "sys.stdout.write",
    ]


def test_no_process_configures_its_log_elsewhere() -> None:
    """One formatter for all processes."""
    configuring = {
        str(path.relative_to(ROOT))
        for folder in ("safeurl", "worker", "api")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"basicConfig|dictConfig|setFormatter|StreamHandler", path.read_text())
    }
    assert configuring == {"safeurl/cli/logs.py"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_log_record_is_one_line(kind: str) -> None:
    """Quoted text is escaped, and no line of a traceback looks like a record."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(LineFormatter("%(levelname)s %(name)s %(message)s"))
    log = logging.getLogger(f"safeurl.test.{kind}")
    log.propagate = False
    log.addHandler(handler)
    text = HOSTILE[kind]
    log.warning("scan.failed url=%s", text)
    try:
        int(text, base=99)
    except ValueError:
        log.exception("told %s", text, stack_info=True)
    log.error("raised", exc_info=ValueError(text))
    lines = out.getvalue().removesuffix("\n").split("\n")
    first, second, last = (line for line in lines if not line.startswith("    "))
    assert first.startswith(f"WARNING safeurl.test.{kind} scan.failed url=a")
    assert second.startswith(f"ERROR safeurl.test.{kind} told a")
    assert last == f"ERROR safeurl.test.{kind} raised"
    assert [char for char in out.getvalue() if is_unfit(char) and char != "\n"] == []
    if kind == "escape":
        assert first.endswith(r"url=a\x1b[2J\x1b[5mb")
