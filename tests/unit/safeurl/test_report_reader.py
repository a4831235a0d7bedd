"""Hostile reports: valid ones are read completely, broken ones up to the fault; no errors."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from safeurl.model.report import (
    ArtefactLine,
    Evidence,
    EvidenceLine,
    ReportLine,
    encode_line,
)
from safeurl.model.report_lines import ReportLimits
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult
from safeurl.state import Outcome
from tests.support.report_lines import (
    BODY,
    HOP,
    HTML,
    ICON,
    LAST_HOP,
    PAGE,
    REFUSAL,
    REPORT,
    REPORT_FIELDS,
    SMALL,
    VALID,
    chunked,
    encode,
    read,
    seen,
)


def test_a_valid_report_is_read_whole() -> None:
    """Evidence is collected, artefacts are assembled, and there is no fault."""
    reader = read([encode(*VALID)])
    assert reader.fault is None
    assert not reader.fault_detail
    assert reader.report == REPORT
    assert reader.evidence() == Evidence(
        hops=(HOP, LAST_HOP),
        body=BODY,
        page=replace(PAGE, favicon=ICON),
        refusals=(REFUSAL,),
        report=REPORT,
    )
    assert reader.artefacts == [("favicon", "image/png", b"icon"), ("body", "text/html", HTML)]


@pytest.mark.parametrize("is_first", [True, False])
def test_the_icon_joins_the_page_in_any_order(is_first: bool) -> None:  # noqa: FBT001 - a case
    """Without a page, the icon is left out."""
    page, icon = EvidenceLine(page=PAGE), EvidenceLine(favicon=ICON)
    reader = read([encode(*((icon, page) if is_first else (page, icon)), REPORT)])
    assert reader.evidence().page == replace(PAGE, favicon=ICON)
    assert read([encode(icon, REPORT)]).evidence().page is None


def test_no_bytes_are_no_fault_and_no_report() -> None:
    """Other code decides about a sandbox that wrote nothing."""
    reader = read([])
    assert (reader.fault, reader.report, reader.evidence()) == (None, None, Evidence())


def test_a_last_line_without_newline_counts() -> None:
    """A line that lacks only its newline is complete; an incomplete line is a fault."""
    data = encode(*VALID).rstrip(b"\n")
    assert read([data]).report == REPORT
    cut = read([data[:-1]])
    assert (cut.fault, cut.report) == (Outcome.REPORT_MALFORMED, None)
    assert cut.evidence().page == replace(PAGE, favicon=ICON)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"report"',
        b'{"type":1}',
        b'{"type":"later","x":NaN}',
        b'{"type":"later","x":Infinity}',
        b'{"type":"later","x":-Infinity}',
        b'{"type":"later","x":"\xff"}',
        b'{"type":"later","x":"\xed\xa0\x80"}',
        b'{"type":"later","x":"\\ud800"}',
        b'{"type":"later"}{"type":"later"}',
        b'{"type":"later","x":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"type":"later","x":[[]}',
        b"[" * 100_000,
        b'{"type":"report","type":"evidence","hop":{"url":"x"}}',
        b'{"type":"evidence"}',
        b'{"type":"evidence","hop":{"url":"x"},"page":{}}',
        b'{"type":"evidence","hop":{"url":"x","evil":1}}',
        b'{"type":"evidence","hop":{"url":"x"},"evil":1}',
        b'{"type":"evidence","hop":{"url":1}}',
        b'{"type":"evidence","hop":{"url":"x","status":1e999}}',
        b'{"type":"evidence","hop":{"url":"x","port":0}}',
        b'{"type":"evidence","hop":{"url":"' + b"x" * 8193 + b'"}}',
        b'{"type":"artefact","kind":"body","data":"@@@@"}',
        b'{"type":"artefact","kind":"../x","data":"AAAA"}',
        b'{"type":"artefact","kind":"body\\n","data":"AAAA"}',
        b'{"type":"artefact","kind":"body","data":"'
        + base64.b64encode(bytes(256 * 1024 + 1))
        + b'"}',
        encode(ReportLine(scan="other", attempt=2, outcome=Outcome.OK))[:-1],
        encode(ReportLine(scan="s1", attempt=1, outcome=Outcome.OK))[:-1],
        json.dumps(REPORT_FIELDS | {"outcome": "fine"}).encode(),
        json.dumps(REPORT_FIELDS | {"attempt": "2"}).encode(),
        json.dumps(REPORT_FIELDS | {"attempt": True}).encode(),
        json.dumps(REPORT_FIELDS | {"elapsed_ms": -1}).encode(),
        json.dumps(REPORT_FIELDS | {"evil": "\x1b[31m"}).encode(),
    ],
    ids=lambda line: repr(line)[:60],
)
def test_a_line_that_breaks_a_rule_is_a_fault_and_what_came_before_counts(line: bytes) -> None:
    """Bad JSON or UTF-8, deep nesting, unknown fields, false claims: malformed, evidence kept."""
    reader = read([encode(EvidenceLine(hop=HOP)) + line + b"\n" + encode(REPORT)])
    assert reader.fault is Outcome.REPORT_MALFORMED
    assert reader.fault_detail.isprintable()
    assert reader.fault_detail.endswith(".")
    assert reader.evidence() == Evidence(hops=(HOP,))


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.WALL_TIMEOUT,
        Outcome.REPORT_MALFORMED,
        Outcome.REPORT_TOO_LARGE,
        Outcome.CANCELLED,
        Outcome.SANDBOX_UNAVAILABLE,
        Outcome.LEASE_LOST,
    ],
)
def test_an_outcome_that_only_the_worker_knows_is_a_lie(outcome: Outcome) -> None:
    """A sandbox cannot have itself tried again by claiming that there was none."""
    reader = read([encode(ReportLine(scan="s1", attempt=2, outcome=outcome))])
    assert (reader.fault, reader.report) == (Outcome.REPORT_MALFORMED, None)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"later"}',
        b'{"type":"later","deep":[[[{"a":"]]]]\\"[[[["}]]],"x":1.5e3}',
        b'  {"x":"\\u0000","type":""}\r',
    ],
)
def test_a_line_of_an_unknown_type_is_passed_over(line: bytes) -> None:
    """A newer fetcher may write types that an older worker does not know."""
    reader = read([line + b"\n" + encode(REPORT)])
    assert (reader.fault, reader.report) == (None, REPORT)


@pytest.mark.parametrize("after", [encode(REPORT), encode(EvidenceLine(hop=HOP)), b"{}", b"\n"])
def test_anything_after_the_report_line_is_malformed(after: bytes) -> None:
    """The report line is the last one, and the first report line counts."""
    reader = read([encode(REPORT) + after])
    assert (reader.fault, reader.report) == (Outcome.REPORT_MALFORMED, REPORT)
    assert reader.evidence().hops == ()


def test_a_report_is_enough_when_its_own_line_has_ended() -> None:
    """Not before its newline, and not when more came with it."""
    lines, report = encode(*VALID[:-1]), encode(VALID[-1])
    reader = ReportReader("s1", 2)
    assert reader.feed(lines) is SinkResult.MORE
    assert reader.feed(report[:-1]) is SinkResult.MORE
    assert reader.feed(report[-1:]) is SinkResult.ENOUGH
    assert (reader.fault, reader.report) == (None, VALID[-1])
    together = ReportReader("s1", 2)
    assert together.feed(lines + report + b"x") is SinkResult.REFUSED
    assert together.fault is Outcome.REPORT_MALFORMED


def test_depth_is_counted_outside_of_strings_only() -> None:
    """Brackets in a string are text; the limit itself is still allowed."""
    limits = ReportLimits(max_depth=3)
    assert read([b'{"type":"later","x":[{"y":"[[[[[["}]}\n'], limits).fault is None
    assert read([b'{"type":"later","x":[{"y":[]}]}\n'], limits).fault is Outcome.REPORT_MALFORMED


def test_an_unfinished_artefact_is_left_out() -> None:
    """Half a picture would be stored under a name that claims that it is complete."""
    reader = read([encode(ArtefactLine(kind="dom", data=b"half"), REPORT)])
    assert (reader.fault, reader.artefacts) == (None, [])


def test_an_artefact_ends_once() -> None:
    """A part after the last one is a fault; the complete blob is kept."""
    whole = ArtefactLine(kind="dom", data=b"x", last=True)
    reader = read([encode(whole, whole)])
    assert reader.fault is Outcome.REPORT_MALFORMED
    assert reader.artefacts == [("dom", "application/octet-stream", b"x")]


def test_a_body_that_is_not_the_reported_one_is_not_kept() -> None:
    """The body is stored as evidence only if it has the SHA-256 that the evidence names."""
    lie = ArtefactLine(kind="body", data=b"another", last=True)
    reader = read([encode(lie, EvidenceLine(body=BODY), REPORT)])
    assert reader.fault is Outcome.REPORT_MALFORMED
    assert (reader.artefacts, reader.report) == ([], None)
    assert reader.evidence().body == BODY


def test_nothing_is_taken_after_the_end() -> None:
    """A late chunk changes nothing, and closing twice does no harm."""
    reader = read([encode(*VALID)])
    before = seen(reader)
    assert reader.feed(b"garbage\n") is SinkResult.REFUSED
    reader.close()
    assert seen(reader) == before


@given(st.lists(st.integers(0, 700), max_size=30))
def test_chunks_do_not_matter(sizes: list[int]) -> None:
    """A report reads the same in one piece and in any pieces."""
    data = encode(*VALID)
    assert seen(read(chunked(data, sizes))) == seen(read([data]))
    assert seen(read(data[at : at + 1] for at in range(len(data)))) == seen(read([data]))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
LINES = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(b'{"type":"later","x":"%b"}'.__mod__),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from(["evidence", "artefact", "report", "x"]), JSON).map(
        lambda pair: json.dumps({"type": pair[0], "hop": pair[1]}).encode()
    ),
    st.sampled_from(VALID).map(lambda line: encode_line(line)[:-1]),
    st.integers(0, 500).map(lambda size: b"a" * size),
)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(0, 200), max_size=20))
def test_any_lines_in_any_chunks_end_in_the_same_words(
    lines: list[bytes], sizes: list[int]
) -> None:
    """Arbitrary bytes and JSON never raise, and faults and limits fall on the same byte."""
    data = b"\n".join(lines)
    whole = read([data], SMALL)
    assert seen(read(chunked(data, sizes), SMALL)) == seen(whole)
    assert whole.fault in {None, Outcome.REPORT_MALFORMED, Outcome.REPORT_TOO_LARGE}
    assert bool(whole.fault) == bool(whole.fault_detail)


@given(st.data())
def test_a_mutated_report_never_raises(data: st.DataObject) -> None:
    """Bytes are replaced, cut and doubled; the reader still returns what it has read."""
    report = bytearray(encode(*VALID))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(report) - 1))
        length = data.draw(st.integers(0, 40))
        report[at : at + length] = (
            data.draw(
                st.one_of(st.binary(max_size=4), st.just(bytes(report[at : at + 2 * length])))
            )
            or b"."
        )
    reader = read([bytes(report)])
    assert reader.fault in {None, Outcome.REPORT_MALFORMED}
    assert reader.report in {None, reader.evidence().report}
