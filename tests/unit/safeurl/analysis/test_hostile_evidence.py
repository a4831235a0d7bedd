"""For every report, rules end without an error, give equal results, and point at evidence."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeurl.analysis import CORE, inconclusive, judge
from safeurl.analysis.rule import Ruleset
from safeurl.model.report import (
    Body,
    Evidence,
    Form,
    FormField,
    Hop,
    Link,
    MetaRefresh,
    Onward,
    Page,
    Refusal,
    Tls,
)
from safeurl.model.stored_evidence import read_evidence
from safeurl.model.verdict import Verdict
from safeurl.state import Outcome
from tests.support.chain_cases import FIRES as WAYS
from tests.support.page_cases import FIRES as PAGES
from tests.support.rule_cases import SEEN_AT, SHA256, Case

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "PayPal login",
            "P\u0430yPal",
            "card_number",
            "cvv",
            "seed phrase",
            "verify you are human: Win+R, Ctrl+V, powershell x",
            "2026-01-01T00:00:00Z",
            "9999-99-99",
            "0001-01-01T00:00:00+23:59",
            "application/x-dosexec",
            "\u202egnp.exe",
        ],
    ),
)
HOSTS = st.sampled_from(
    [
        "example.net",
        "paypal.com",
        "xn--pypal-4ve.a",
        "xn--\u2603",
        "[::1",
        "1.2.3.4",
        "a..b",
        ".",
        "",
    ],
)
URLS = st.one_of(
    st.text(max_size=60),
    st.builds("{}://{}/{}".format, st.sampled_from(["http", "https", "HTTP", ""]), HOSTS, TEXTS),
    st.sampled_from(
        ["http://[", "http://a:99999/", "http://a@b@c/", "//", "http://\u2100.a/", "?#@"]
    ),
)
HEADERS = st.lists(
    st.tuples(st.sampled_from(["cf-mitigated", "Content-Disposition"]), TEXTS), max_size=3
)


def _tuples(items: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    # Any: hypothesis has no variance that lets one helper serve every struct.
    return st.lists(items, max_size=most).map(tuple)


FIELDS = st.builds(FormField, name=TEXTS, type=TEXTS, placeholder=TEXTS)
FORMS = st.builds(Form, action=URLS, fields=_tuples(FIELDS), has_password=st.booleans())
PAGES_MADE = st.builds(
    Page,
    title=TEXTS,
    text=TEXTS,
    forms=_tuples(FORMS),
    links=_tuples(st.builds(Link, url=URLS, text=TEXTS), most=12),
    links_total=st.integers(0, 99),
    links_null=st.integers(0, 99),
    onward=st.lists(
        st.builds(
            Onward,
            how=st.sampled_from(["meta_refresh", "refresh_header", "script", "form", "later"]),
            url=URLS.map(lambda url: url[:2048]),
        ),
        max_size=3,
    ).map(tuple),
    meta_refresh=st.none() | st.builds(MetaRefresh, delay_s=st.floats(0, 99), url=URLS),
    saver_mark=TEXTS,
    partial=TEXTS,
)
HOPS = st.builds(
    Hop,
    url=URLS,
    via=st.sampled_from(["submitted", "redirect", "meta_refresh"]),
    status=st.none() | st.integers(100, 999),
    headers=HEADERS.map(tuple),
    tls=st.none()
    | st.builds(
        Tls,
        version=TEXTS,
        not_before=TEXTS,
        not_after=TEXTS,
        verified=st.booleans(),
        verify_error=TEXTS,
    ),
)
BODIES = st.builds(
    Body,
    wire_bytes=st.just(1),
    size_bytes=st.just(1),
    sha256=st.just(SHA256),
    truncated=st.booleans(),
    declared_type=TEXTS,
    sniffed_type=TEXTS,
)
REFUSALS = st.builds(Refusal, host=HOSTS, port=st.just(80), rule=TEXTS, address=TEXTS, url=URLS)
EVIDENCE = st.builds(
    Evidence,
    hops=_tuples(HOPS),
    body=st.none() | BODIES,
    page=st.none() | PAGES_MADE,
    refusals=_tuples(REFUSALS),
)


def _resolve(document: object, pointer: str) -> object:
    """Follow an RFC 6901 pointer; a member that is not there raises."""
    at = document
    for token in pointer.split("/")[1:]:
        # Any: a decoded JSON document.
        level: Any = at
        at = level[int(token)] if isinstance(level, list) else level[token]
    return at


def _check(evidence: Evidence, verdict: Verdict) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(evidence))
    for hit in verdict.hits:
        assert _resolve(stored, hit.pointer) is not None
        assert len(hit.excerpt) <= 200
        assert hit.excerpt.isprintable()
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


@given(EVIDENCE, URLS)
@settings(max_examples=400, deadline=None)
def test_rules_hold_on_any_evidence(evidence: Evidence, url: str) -> None:
    """No evidence raises; each hit points into the stored evidence and fits its limits."""
    _check(evidence, judge(evidence, url=url, seen_at=SEEN_AT))
    _check(evidence, inconclusive(Outcome.FETCH_TIMEOUT, evidence, url=url))


@given(EVIDENCE, URLS, st.permutations(CORE.rules))
@settings(max_examples=150, deadline=None)
def test_the_same_evidence_gives_the_same_bytes(
    evidence: Evidence, url: str, mixed: Sequence[Any]
) -> None:
    """Neither a second run nor another order of rules changes a byte."""
    stored = read_evidence(msgspec.json.encode(evidence))
    once = judge(stored, url=url, seen_at=SEEN_AT)
    read_back = msgspec.json.decode(msgspec.json.encode(stored), type=Evidence)
    shuffled = Ruleset(CORE.version, tuple(mixed))
    again = judge(read_back, url=url, seen_at=SEEN_AT, ruleset=shuffled)
    assert msgspec.json.encode(again) == msgspec.json.encode(once)


@pytest.mark.parametrize("case", PAGES + WAYS, ids=lambda c: f"{c.rule}: {c.what}")
def test_real_hits_point_at_what_they_saw(case: Case) -> None:
    """The same is true for evidence on which rules match."""
    _check(case.evidence, judge(case.evidence, url=case.url, seen_at=SEEN_AT))


def test_a_forged_chain_is_read_to_a_bound() -> None:
    """However many hops are claimed, hits point at the ones that were read."""
    headers = (("cf-mitigated", "challenge"), ("content-disposition", "filename=a.pdf.exe"))
    hops = tuple(Hop(url=f"https://h{i}.example/", status=403, headers=headers) for i in range(99))
    body = Body(wire_bytes=1, size_bytes=1, sha256=SHA256)
    evidence = Evidence(hops=hops, body=body)
    verdict = judge(evidence, url="https://h0.example/", seen_at=SEEN_AT)
    assert {hit.rule for hit in verdict.hits} >= {"context.blocked", "file.double_extension"}
    assert {hit.pointer.split("/")[2] for hit in verdict.hits if hit.group == "file"} == {"23"}
    _check(evidence, verdict)


_LARGEST = """
import sys
from datetime import UTC, datetime
from safeurl.analysis import judge
from safeurl.model.report import Evidence, Form, FormField, Hop, Page

def fill(size):
    return (sys.argv[1] * size)[:size]

field = FormField(name=fill(512), placeholder=fill(512), type="text")
form = Form(action="https://a.example/" + fill(8000), fields=(field,) * 128, has_password=True)
header = ("content-disposition", "filename=" + fill(8000))
hop = Hop(url="https://a.example/" + fill(8000), status=200, headers=(header,) * 256)
host = Hop(url="https://" + (fill(63) + ".") * 3 + "example/", status=200)
page = Page(title=fill(4096), text=fill(8192), forms=(form,) * 64)
evidence = Evidence(hops=(hop, host) * 20, page=page)
judge(evidence, url="https://" + fill(8000), seen_at=datetime.now(UTC))
"""

#: Each repeats the beginning of some pattern without ever finishing it.
STUTTERS = [
    "a",
    "1",
    "-",
    "@",
    "a@a",
    "a.",
    " ",
    "0 ",
    "+1 (",
    "card ",
    "seed ",
    "word1",
    "win+",
    "verify that ",
    "account ",
    "computer ",
    "curl ",
    "nslookup ",
    "connect ",
    "domain ",
    "paypal ",
    "p\u0430ypal",
    ".pdf.",
    "/wp-content/uploads/",
    "\u30ab\u30fc\u30c9",
    "\ufdfa",
]


@pytest.mark.parametrize("stutter", STUTTERS)
def test_no_text_makes_a_rule_backtrack(stutter: str) -> None:
    """The largest evidence, filled with stutter, is judged; an exponential pattern never ends."""
    done = subprocess.run([sys.executable, "-c", _LARGEST, stutter], timeout=60, check=False)
    assert done.returncode == 0
