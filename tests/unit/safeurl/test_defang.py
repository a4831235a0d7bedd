"""No shown text contains a link, also not a URL inside another one."""

import logging
import re
from dataclasses import replace
from io import StringIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from safeurl.cli.logs import LineFormatter
from safeurl.cli.view.render import print_audit, print_list, print_view
from safeurl.cli.view.screen import Screen
from safeurl.defang import defang_text, safe_url
from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from safeurl.model.report import Evidence, Refusal
from safeurl.model.scan import AuditEntry
from safeurl.model.view import ScanView
from safeurl.url import parse
from tests.support.builders import NOW, make_scan

_NESTED = [
    "https://a.example/?q=http://evil.example/x",
    "https://a.example/?q=http%3A%2F%2Fevil.example%2Fx",
    "https://a.example/?q=http%253A%252F%252Fevil.example%252Fx",
    "https://a.example/https://b.example/https://c.example/",
    "https://a.example/?next=//x&u=www.evil.example/",
    "https://a.example/#HTTPS:\\\\evil.example",
    "javascript:location='http://evil.example'",
    "https:\\/\\/evil.example\\/x",
    "ftp://evil.example/",
    "https:/evil.example",
    "see www.evil.example and (https://evil.example).",
]
_CLICKABLE = re.compile(r"https?(?::|%(?:25)*3a)(?:[/\\]|%(?:25)*2f){2}|\bwww\.\w", re.IGNORECASE)


@pytest.mark.parametrize("text", _NESTED)
def test_no_link_is_left(text: str) -> None:
    """Plain and percent-encoded schemes and hosts are defanged, at every depth."""
    for shown in (defang_text(text), safe_url(text)):
        assert not _CLICKABLE.search(shown)
        assert "evil.example" not in shown.replace("javascript", "")


def test_text_without_a_url_stays() -> None:
    """Names of files, versions and rules are not links."""
    text = (
        "safeurl 1.2.3: url.userinfo, /etc/x.conf, https is fine, starts with http:// or https://."
    )
    assert defang_text(text) == text


@given(st.text(st.sampled_from("htps:/%25AFaf.w[]()xX \\"), max_size=60))
def test_defanging_is_stable(text: str) -> None:
    """Defanged text is not changed again, and contains no link."""
    assert defang_text(defang_text(text)) == defang_text(text)
    assert not re.search(r"https?://[\w%\[]", defang_text(text), re.IGNORECASE)


@pytest.mark.parametrize("text", _NESTED)
def test_no_field_reaches_a_terminal_as_a_link(text: str) -> None:
    """Of a scan, its evidence and its audit trail, whatever is a string."""
    scan = replace(make_scan(), url=text, submitted_url=text, detail=text)
    refusal = Refusal(host=text, port=80, rule=text, address=text)
    decision = EgressDecision(name=text, port=80, rule=text, addresses=(), allowed=False)
    entry = AuditEntry(
        id=1,
        scan_id=scan.id,
        event=text,
        from_state=None,
        to_state=None,
        version=1,
        attempt=1,
        actor=text,
        outcome=None,
        detail=text,
        at=NOW,
    )
    evidence = Evidence(
        refusals=(refusal,), egress=EgressEvidence(decisions=(decision,), requests=1)
    )
    view = ScanView(
        scan=scan,
        result=None,
        artefacts=(),
        evidence_json=msgspec.json.encode(evidence).decode(),
        audit=(entry,),
    )
    out = StringIO()
    screen = Screen(Console(file=out, width=200))
    print_view(screen, view)
    print_list(screen, [scan], {})
    print_audit(screen, [entry])
    assert not _CLICKABLE.search(out.getvalue())


@pytest.mark.parametrize("text", _NESTED)
def test_no_log_line_holds_a_link(text: str) -> None:
    """Whatever a record quotes, and in its traceback."""
    fault = (ValueError, ValueError(text), None)
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "failed url=%s", (text,), fault)
    assert not _CLICKABLE.search(LineFormatter().format(record))


def test_a_url_with_others_inside_can_be_pasted_back() -> None:
    """Its own host is refanged; those inside stay text of its query."""
    shown = safe_url("https://a.example/?q=http://b.example/")
    assert parse(shown).host == "a.example"
