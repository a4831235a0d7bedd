"""Scans that have ended, with everything a finished attempt leaves behind."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from safeurl.model.attempt import FinalRecord
from safeurl.model.report import (
    Body,
    Evidence,
    Form,
    FormField,
    Hop,
    Iframe,
    Page,
    Refusal,
    ReportLine,
    Script,
    Timings,
    Tls,
)
from safeurl.model.scan import Artefact, Result, Scan
from safeurl.model.verdict import Category, Group, Hit, Judgement, Verdict
from safeurl.ports.store import Store
from safeurl.state import Outcome, State

#: A title that would be harmful in a page that did not escape it.
HOSTILE_TITLE = '</script><script>alert("1")</script>\u202egnp.exe'

_HOST = "secure-account.example.com"
_LOGIN = f"https://{_HOST}/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How a seeded scan ends, and when."""

    judgement: Judgement = Judgement.MALICIOUS
    score: int = 94
    title: str = HOSTILE_TITLE
    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    #: Each is also a hop's way and header, a rule, and an artefact's kind.
    words: tuple[str, ...] = ()


async def finish_as_phishing(store: Store, scan_id: str, life: Life) -> Scan:
    """Move a QUEUED scan through all states to COMPLETED with the evidence of a phishing page."""
    later = life.now + timedelta(seconds=2)
    claimed = await store.claim(
        scan_id, owner="host-1:7", now=life.now, lease_until=life.now + timedelta(seconds=30)
    )
    assert claimed is not None
    seen = phishing_evidence(claimed, life.title)
    headers = tuple((word, word) for word in life.words)
    more = tuple(Hop(url=claimed.url, via=word, headers=headers) for word in life.words)
    seen = msgspec.structs.replace(seen, hops=(*seen.hops, *more))
    evidence = msgspec.json.encode(seen).decode()
    analysing = await store.begin_analysis(
        claimed,
        outcome=Outcome.OK,
        detail=None,
        evidence_json=evidence,
        now=later,
        actor="host-1:7",
    )
    assert analysing is not None
    ending = FinalRecord(
        state=State.COMPLETED,
        outcome=Outcome.OK,
        detail=None,
        result=_result(analysing, life),
        artefacts=tuple(
            Artefact(kind=kind, sha256=_sha256(kind), size_bytes=48_213, media_type="text/html")
            for kind in ("body", *life.words)
        ),
    )
    finished = await store.finish(analysing, ending, now=later, actor="host-1:7")
    assert finished is not None
    return finished


def phishing_evidence(scan: Scan, title: str) -> Evidence:
    """Return the evidence of a page that asks for another site's password."""
    return Evidence(
        hops=(
            Hop(
                url=scan.url,
                status=302,
                http_version="1.1",
                headers=(("location", _LOGIN), ("server", "nginx")),
                address="198.51.100.7",
                port=443,
                location=_LOGIN,
                timings=Timings(total_ms=132.4),
                tls=Tls(version="TLSv1.3", verified=True, subject="CN=s.example.org"),
            ),
            Hop(
                url=_LOGIN,
                via="redirect",
                status=200,
                http_version="1.1",
                headers=(("content-type", "text/html; charset=utf-8"), ("x-powered-by", "PHP/7.4")),
                address="203.0.113.80",
                port=443,
                timings=Timings(total_ms=418.9),
                tls=Tls(
                    version="TLSv1.2",
                    issuer=f"CN={_HOST}",
                    subject=f"CN={_HOST}",
                    sans=(_HOST,),
                    not_before="2026-02-27T00:00:00Z",
                    not_after="2026-05-28T00:00:00Z",
                    sha256=_sha256("certificate"),
                    verify_error="self-signed certificate",
                ),
            ),
        ),
        body=Body(
            wire_bytes=12_840,
            size_bytes=48_213,
            sha256=_sha256("body"),
            declared_type="text/html",
            sniffed_type="text/html",
        ),
        page=_page(title),
        refusals=(
            Refusal(host="router.example.com", port=80, rule="private", address="192.168.1.1"),
        ),
        report=ReportLine(scan=scan.id, attempt=scan.attempt, outcome=Outcome.OK, final_url=_LOGIN),
    )


def _page(title: str) -> Page:
    return Page(
        title=title,
        language="en",
        forms=(
            Form(
                action="https://collect.example.net/drop.php",
                method="post",
                fields=(
                    FormField(name="email", type="email"),
                    FormField(name="password", type="password"),
                ),
                has_password=True,
                cross_origin=True,
            ),
        ),
        links_total=14,
        links_null=11,
        scripts=(Script(url=f"https://{_HOST}/kit.js"), Script(inline_bytes=20_480)),
        iframes=(Iframe(url="https://ads.example.net/px", hidden=True),),
    )


def _result(scan: Scan, life: Life) -> Result:
    verdict = Verdict(
        score=life.score,
        judgement=life.judgement,
        categories=(Category.PHISHING,),
        hits=(*_hits(life.title), *map(_hit_of, life.words)),
        ruleset="core-1",
        summary="The page asks for a password and sends it to another site.",
    )
    return Result(
        scan_id=scan.id,
        attempt=scan.attempt,
        outcome=Outcome.OK,
        score=life.score,
        verdict=life.judgement,
        categories=(Category.PHISHING,),
        verdict_json=msgspec.json.encode(verdict).decode(),
        ruleset="core-1",
        final_url=_LOGIN,
        http_status=200,
        title=life.title,
        created_at=life.now,
    )


def _hits(title: str) -> tuple[Hit, ...]:
    return (
        Hit(
            rule="form.password_cross_origin",
            version=1,
            group=Group.FORM,
            weight=0.7,
            categories=(Category.PHISHING,),
            reason="A form with a password field sends what is typed to another site.",
            pointer="/page/forms/0/action",
            excerpt="https://collect.example.net/drop.php",
        ),
        Hit(
            rule="tls.unverified",
            version=1,
            group=Group.TLS,
            weight=0.45,
            reason="The certificate does not verify.",
            pointer="/hops/1/tls/verify_error",
            excerpt="self-signed certificate",
        ),
        Hit(
            rule="lure.title",
            version=2,
            group=Group.LURE,
            weight=0.3,
            reason="The title hides its reading direction.",
            pointer="/page/title",
            excerpt=title[:200],
        ),
        Hit(
            rule="context.long_lived_host",
            version=1,
            group=Group.CONTEXT,
            weight=-0.1,
            reason="The host was seen before without findings.",
            pointer="/hops/0/url",
        ),
    )


def _hit_of(word: str) -> Hit:
    return Hit(rule=word, version=1, group=Group.LURE, weight=0.1, reason=word, pointer=f"/{word}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
