"""Attacks by a hostile sandbox and by hidden text on the display of a report."""

import hashlib
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations

import msgspec
import pytest
from rich.console import Console

from safeurl.analysis.text import fold
from safeurl.cli.view.render import print_audit, print_view
from safeurl.cli.view.screen import Screen
from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from safeurl.model.report import (
    ArtefactLine,
    Body,
    Evidence,
    EvidenceLine,
    Line,
    Refusal,
    ReportLine,
    encode_line,
)
from safeurl.model.report_reader import ReportReader
from safeurl.model.scan import AuditEntry
from safeurl.model.stored_evidence import read_evidence
from safeurl.model.view import ScanView
from safeurl.pasted import find_urls
from safeurl.printable import clean, escaped, plain
from safeurl.state import Outcome
from tests.support.builders import make_scan
from tests.support.filled import fill

_SEEN = b"<title>what the evidence speaks of</title>"
_OTHER = b"<title>what is stored in its place</title>"
_BODY = EvidenceLine(
    body=Body(
        wire_bytes=len(_SEEN), size_bytes=len(_SEEN), sha256=hashlib.sha256(_SEEN).hexdigest()
    )
)
_REPORT = ReportLine(scan="s1", attempt=1, outcome=Outcome.OK)
#: How a report can end: in order, in silence, in rubbish, in a lie, and cut short in a line.
_ENDS: Mapping[str, bytes] = {
    "report": encode_line(_REPORT),
    "silence": b"",
    "rubbish": b"{\n",
    "another scan's": encode_line(msgspec.structs.replace(_REPORT, scan="s2")),
    "cut": encode_line(_REPORT)[:-9],
    "too large": b"x" * (2 * 1024 * 1024),
}


def _read(lines: Iterable[Line], end: bytes) -> ReportReader:
    reader = ReportReader("s1", 1)
    reader.feed(b"".join(map(encode_line, lines)) + end)
    reader.close()
    return reader


def _orders(*lines: Line) -> Iterable[tuple[Line, ...]]:
    return permutations(lines)


@pytest.mark.parametrize("end", _ENDS)
def test_no_other_body_is_kept_however_the_report_ends(end: str) -> None:
    """A sandbox without a last line must not store a body under the name of another one."""
    lie = ArtefactLine(kind="body", data=_OTHER, last=True, media_type="text/html")
    truth = ArtefactLine(kind="body", data=_SEEN, last=True, media_type="text/html")
    icon = ArtefactLine(kind="favicon", data=b"icon", last=True, media_type="image/png")
    for lines in _orders(_BODY, lie, icon):
        reader = _read(lines, _ENDS[end])
        assert reader.artefacts == [("favicon", "image/png", b"icon")]
        assert reader.fault is not None or end == "silence"
    # And no correct artefact is lost.
    for lines in _orders(_BODY, truth, icon):
        assert ("body", "text/html", _SEEN) in _read(lines, _ENDS[end]).artefacts


def test_a_second_body_does_not_excuse_the_first() -> None:
    """The SHA-256 in the evidence at the end decides."""
    other = EvidenceLine(
        body=Body(wire_bytes=1, size_bytes=1, sha256=hashlib.sha256(_OTHER).hexdigest())
    )
    blob = ArtefactLine(kind="body", data=_OTHER, last=True)
    for lines in _orders(other, blob, _BODY):
        for end in ("silence", "rubbish"):
            reader = _read(lines, _ENDS[end])
            said = reader.evidence().body
            assert said is not None
            for kind, _, data in reader.artefacts:
                assert (kind, hashlib.sha256(data).hexdigest()) == ("body", said.sha256)


def _refused(evidence: Evidence) -> list[str]:
    view = ScanView(
        scan=make_scan(),
        result=None,
        artefacts=(),
        evidence_json=msgspec.json.encode(evidence).decode(),
        audit=(),
    )
    out = io.StringIO()
    print_view(Screen(Console(file=out, width=200)), view)
    return [line for line in out.getvalue().splitlines() if line.startswith("refused")]


@pytest.mark.parametrize("host", ["inner.example", "[::1]", "::1"])
def test_a_sandbox_does_not_talk_over_the_gateway(host: str) -> None:
    """A refusal is shown with the address that the gateway saw, not with an invented one."""
    asked = EgressDecision(name=host, port=80, rule="private", addresses=("10.0.0.5",))
    claims = tuple(
        Refusal(host=host, port=80, rule="private", address=address)
        for address in ("93.184.216.34", "")
    )
    evidence = Evidence(refusals=claims, egress=EgressEvidence(decisions=(asked,), requests=1))
    (line,) = _refused(evidence)
    assert line.endswith(":80 10.0.0.5 — private")


#: Characters of Default_Ignorable_Code_Point that Unicode does not call formats.
_IGNORABLE = "\u034f\u17b4\u180b\u180f\u2065\ufe00\ufe0f\ufff0\U000e0100\U000e01ef"


@pytest.mark.parametrize("char", _IGNORABLE, ids=ascii)
def test_what_nobody_sees_hides_no_word(char: str) -> None:
    """A browser draws `Pay<mark>Pal` as `PayPal`; rules, terminals and logs must see it too."""
    assert unicodedata.category(char) != "Cf"
    assert fold(f"{char}Pay{char}Pal{char}{char} log in") == "paypal log in"
    assert char not in plain(f"a{char}b")
    assert clean(f"{char}state:{char} COMPLETED") == "state: COMPLETED"
    assert escaped(f"a{char}b").isascii()


@pytest.mark.parametrize("char", ["\u3164", "\uffa0", "\u115f", "\u1160", "\u2800"], ids=ascii)
def test_a_blank_letter_parts_words(char: str) -> None:
    """Fillers are shown as a blank, so the words on both sides are read as two words."""
    assert fold(f"Verify{char}you are{char}{char}human") == "verify you are human"


@pytest.mark.parametrize("piece", [",http://b", "(http://a", "[http://a", "`www.a"])
def test_finding_urls_is_linear(piece: str) -> None:
    """The text has very many starts of URLs; quadratic work on it would take many minutes.

    The suite's own timeout would end the test.
    """
    text = "http://a/?" + piece * (2 * 1024 * 1024 // len(piece))
    assert find_urls(text).urls


def test_a_number_of_any_length_is_shown() -> None:
    """A hash of four thousand digits is read, stored, read again and printed."""
    line = b'{"type":"evidence","page":{"favicon":{"url":"x","mmh3":-%s}}}\n' % (b"9" * 4200)
    reader = ReportReader("s1", 1)
    reader.feed(line)
    stored = msgspec.json.encode(reader.evidence()).decode()
    out = io.StringIO()
    Screen(Console(file=out)).document(json.loads(stored))
    assert out.getvalue()


_DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "detail",
    [
        *("", "{", "[]", "7", "NaN", '{"ms":7}', '{"ms":{"run":"x"}}', '{"ms":null}'),
        *('{"error":{"a":1}}', _DEEP, f'{{"later":{_DEEP}'),
    ],
    ids=lambda detail: detail[:20],
)
def test_a_sandboxs_entry_of_any_text_is_shown(detail: str) -> None:
    """A restored backup may contain any text in the place of a document of facts."""
    entry = replace(fill(AuditEntry, "x"), event="sandbox", detail=detail)
    out = io.StringIO()
    print_audit(Screen(Console(file=out, force_terminal=True, width=120)), [entry])
    assert out.getvalue().count("\n") >= 1


@pytest.mark.parametrize(
    "document",
    [
        f'{{"later":{_DEEP}',
        f'{{"page":{{"title":{_DEEP}',
        _DEEP,
        '{"hops":[' + '{"a":' * 200_000,
        '{"page":{"favicon":{"url":"x","mmh3":1' + "0" * 9_000 + "}}}",
    ],
    ids=lambda document: document[:20],
)
def test_stored_evidence_of_any_depth_is_one_error(document: str) -> None:
    """The callers that judge or show evidence handle this error and continue with the next scan."""
    with pytest.raises(msgspec.MsgspecError):
        read_evidence(document)
