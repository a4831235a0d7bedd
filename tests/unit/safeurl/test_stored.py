"""Stored evidence is read whatever version wrote it, and by today's rules."""

import json

import msgspec
import pytest

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Body, Evidence, Hop, Page, ReportLine, Tls
from safeurl.model.stored_evidence import read_evidence
from safeurl.state import Outcome
from tests.support.builders import make_scan
from tests.support.finished_scan import phishing_evidence

_ESC = "\x1b[2J\nforged"


def test_evidence_of_this_version_is_read_as_it_was_written() -> None:
    """No value is lost."""
    evidence = phishing_evidence(make_scan(), "A title")
    assert read_evidence(msgspec.json.encode(evidence)) == evidence


def test_what_does_not_fit_any_more_is_left_out_and_the_rest_is_kept() -> None:
    """As an older version stored it, with a terminal's escapes in every kind of field."""
    loose = Evidence(
        hops=(
            Hop(
                url="https://a.example/",
                via=_ESC,
                status=200,
                headers=((_ESC, "x"), ("Server", f"nginx{_ESC}")),
                addresses=(_ESC, "1.1.1.1"),
                address=_ESC,
                location=f"/next{_ESC}",
                tls=Tls(version="TLSv1.3", sha256=_ESC, not_after="soon"),
            ),
        ),
        body=Body(wire_bytes=1, size_bytes=1, sha256=_ESC),
        page=Page(title=f"Hello{_ESC}"),
        report=ReportLine(scan="s", attempt=1, outcome=Outcome.OK, final_url="javascript:x"),
        egress=EgressEvidence(scan="s", attempt=1, requests=3),
    )
    read = read_evidence(msgspec.json.encode(loose))
    assert read == Evidence(
        hops=(
            Hop(
                url="https://a.example/",
                via="",
                status=200,
                headers=(("Server", "nginx [2J forged"),),
                addresses=("1.1.1.1",),
                address=None,
                location="/next [2J forged",
                tls=Tls(version="TLSv1.3"),
            ),
        ),
        page=Page(title="Hello [2J forged"),
        report=ReportLine(scan="s", attempt=1, outcome=Outcome.OK),
        egress=EgressEvidence(scan="s", attempt=1, requests=3),
    )


def test_fields_of_a_later_version_are_not_passed_over() -> None:
    """A scan is fetched again rather than judged by a part of its evidence."""
    for document in ({"later": 1}, {"hops": [{"url": "https://a.example/", "later": 1}]}):
        with pytest.raises(msgspec.ValidationError):
            read_evidence(json.dumps(document))


@pytest.mark.parametrize("document", ["", "{", "[]", "7", '{"hops": 7}', '{"hops": [{"url": 7}]}'])
def test_what_is_no_evidence_is_refused_or_empty(document: str) -> None:
    """Rubbish never raises anything but the decoder's own error."""
    try:
        read = read_evidence(document)
    except msgspec.MsgspecError:
        return
    assert read == Evidence()
