"""The verdict on a URL, and the cases without a conclusion."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from safeurl.analysis import CORE, inconclusive, judge
from safeurl.analysis.rule import Ruleset
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import (
    Body,
    Evidence,
    Form,
    Hop,
    MetaRefresh,
    Onward,
    Page,
    Refusal,
    Script,
)
from safeurl.model.verdict import Category, Judgement, Verdict
from safeurl.state import Outcome
from tests.support.page_cases import CLICKFIX_COMMAND
from tests.support.rule_cases import SEEN_AT, SHA256, download, form, login, seen, way

SOME = "https://shop.example.net/"

#: A script puts it into the page, whose other parts are not known.
_WRITTEN = Form(has_password=True, by_script=True)


_BUNDLE = Script(url="https://cdn.example.org/app.js")


def _of(page: Page | None, url: str = SOME, *, status: int = 200) -> Verdict:
    return judge(seen(url, page, status=status), url=url, seen_at=SEEN_AT)


def test_a_brand_login_on_a_foreign_host_is_malicious() -> None:
    """The most common phishing page is called phishing, with its strongest reason."""
    verdict = _of(login("Log in to your PayPal account"))
    assert (verdict.judgement, verdict.score) == (Judgement.MALICIOUS, 77)
    assert verdict.categories == (Category.PHISHING,)
    assert verdict.hits[0].rule == "form.brand_login"
    assert verdict.hits[0].reason in verdict.summary


def test_the_same_page_on_the_brands_host_is_benign() -> None:
    """The real sign-in page carries the same title and the same form."""
    verdict = _of(login("Log in to your PayPal account"), "https://www.paypal.com/signin")
    assert (verdict.judgement, verdict.score) == (Judgement.BENIGN, 0)
    assert "never proves" in verdict.summary


def test_a_clickfix_page_is_malicious_by_itself() -> None:
    """Instructions with the command in sight are decisive."""
    verdict = _of(Page(text=CLICKFIX_COMMAND))
    assert verdict.judgement is Judgement.MALICIOUS
    assert verdict.categories == (Category.MALWARE,)


def test_a_brand_in_the_host_alone_is_suspicious() -> None:
    """A URL whose page shows nothing is marked for a person to check."""
    verdict = _of(Page(text="Welcome"), "https://paypal-login.example.net/")
    assert verdict.judgement is Judgement.SUSPICIOUS


def test_an_innocent_page_on_free_hosting_is_benign() -> None:
    """Free hosting alone is not evidence."""
    page = Page(title="My garden", text="Roses", forms=(form("email"),))
    assert _of(page, "https://my-garden.github.io/").score == 0


def test_a_login_on_free_hosting_is_not_suspicious() -> None:
    """Many small applications use free hosting, so this needs more signs."""
    verdict = _of(login("Garden diary"), "https://diary.vercel.app/")
    assert (verdict.judgement, verdict.score) == (Judgement.BENIGN, 20)


def test_cheap_words_score_nothing() -> None:
    """Scripts, hidden frames and foreign actions are commoner on innocent pages."""
    page = login(action="https://sso.example.org/", scripts=(Script(inline_bytes=9999),))
    assert _of(page).hits == ()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (None, "not a page"),
        (Page(), "empty"),
        (Page(scripts=(Script(url="https://shop.example.net/app.js"),)), "drawn by scripts"),
        (Page(scripts=(Script(inline_bytes=9),), forms=(_WRITTEN,)), "drawn by scripts"),
        (Page(text="Loading…", scripts=(_BUNDLE,)), "drawn by scripts"),
        (Page(text="If nothing happens, go on", links_total=1, scripts=(_BUNDLE,)), "by scripts"),
        (Page(title="App", text="x" * 100, scripts=(Script(), _BUNDLE)), "drawn by scripts"),
        (Page(text="Half", partial="too deep"), "Only a part"),
        (Page(text="x" * 500, scripts=(Script(),), scripts_cut=True), "too long to be read whole"),
        (Page(text="x", onward=(Onward(how="script"),), scripts_cut=True), "sends its visitor on"),
        (Page(text="x", partial="too deep", scripts_cut=True), "Only a part"),
        (Page(title="Just a moment...", text="Checking"), "challenge"),
        (Page(text="This domain is parked."), "parked"),
    ],
)
def test_a_page_not_really_seen_is_inconclusive(page: Page | None, why: str) -> None:
    """A low score then has no meaning, and the summary gives the reason."""
    verdict = _of(page)
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert why in verdict.summary


@pytest.mark.parametrize(
    "page",
    [
        Page(text="Coming soon"),
        Page(text="Coming soon", scripts=(Script(inline_bytes=9),)),
        Page(text="x" * 101, scripts=(_BUNDLE,)),
        Page(text="Search", scripts=(_BUNDLE,), forms=(form("q"),)),
    ],
)
def test_a_short_page_of_its_own_is_benign(page: Page) -> None:
    """It does not wait for scripts of other files, or shows more than those that do."""
    assert _of(page).judgement is Judgement.BENIGN


def test_scripts_that_were_cut_make_no_verdict_milder() -> None:
    """The signs that were seen on the page still count."""
    page = login("Log in to your PayPal account")
    cut = replace(page, scripts_cut=True)
    assert _of(cut).judgement is _of(page).judgement is Judgement.MALICIOUS
    assert _of(cut).score == _of(page).score


def test_what_a_script_writes_is_judged_as_well() -> None:
    """A brand's sign-in form counts, also if a script writes it into the page."""
    page = Page(title="PayPal", scripts=(Script(inline_bytes=9),), forms=(_WRITTEN,))
    verdict = _of(page, "https://pages.example.net/")
    assert verdict.judgement in {Judgement.SUSPICIOUS, Judgement.MALICIOUS}
    assert verdict.hits[0].rule == "form.brand_login"


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 503])
def test_a_refusing_server_is_inconclusive(status: int) -> None:
    """A page behind a refusal was not seen."""
    verdict = _of(Page(text="No"), status=status)
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert str(status) in verdict.summary


def test_a_cloaked_page_is_still_judged_by_what_it_shows() -> None:
    """A status of 404 over a brand's sign-in form hides nothing."""
    assert _of(login("PayPal login"), status=404).judgement is Judgement.MALICIOUS


@pytest.mark.parametrize(
    "url", ["https://a!b.example.org/", "http://a..b/", "https://e.example:22/"]
)
def test_a_page_that_leads_to_where_nobody_followed_is_inconclusive(url: str) -> None:
    """Whatever waits there was not seen, be it refused, unreadable or away."""
    verdict = _of(Page(text="Please wait", meta_refresh=MetaRefresh(delay_s=0, url=url)))
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert "sends its visitor on" in verdict.summary


@pytest.mark.parametrize(
    ("how", "url", "words"),
    [
        ("script", "https://login.e.example/a.php", "to hxxps://login[.]e[.]example/a.php, which"),
        ("form", SOME, "to hxxps://shop[.]example[.]net/, which"),
        ("script", "https://e.example", "to hxxps://e[.]example, which"),
        ("script", "", "to an address that a script works out, which"),
        ("script", "http://8.8.8.8:81?a=b c", "to hxxp://8[.]8[.]8[.]8:81?a=b…, which"),
        ("script", "https://paypal.com:1@e.example/", "to e[.]example, which"),
        ("script", f"https://e.example/{'a' * 200}", f"e[.]example/{'a' * 100}…, which"),
        ("meta_refresh", "https://e.example/\u202e", "to hxxps://e[.]example/…, which"),
        ("refresh_header", "https://a b/<script>", "to another one, which"),
    ],
)
def test_a_way_station_says_where_it_seems_to_lead(how: str, url: str, words: str) -> None:
    """The summary names the target of an empty page, with a defanged host and no quotation."""
    verdict = _of(Page(scripts=(Script(inline_bytes=9),), onward=(Onward(how=how, url=url),)))
    assert verdict.judgement is Judgement.INCONCLUSIVE
    assert words in verdict.summary
    (hit,) = [hit for hit in verdict.hits if hit.rule == "context.unfollowed"]
    assert hit.excerpt[:18] == url[:18]


def test_a_page_that_leads_on_is_still_judged_by_what_it_shows() -> None:
    """A script that leads elsewhere does not weaken the sign-in form of a brand."""
    onward = (Onward(how="script", url="https://e.example/"),)
    assert _of(replace(login("PayPal login"), onward=onward)).judgement is Judgement.MALICIOUS


def test_a_cut_body_is_inconclusive() -> None:
    """Nothing can be concluded about a part that was not read."""
    body = Body(wire_bytes=9, size_bytes=9, sha256=SHA256, truncated=True)
    evidence = Evidence(hops=(Hop(url=SOME, status=200),), body=body, page=Page(text="x"))
    assert judge(evidence, url=SOME, seen_at=SEEN_AT).judgement is Judgement.INCONCLUSIVE


def test_a_document_is_inconclusive() -> None:
    """Its content is not examined."""
    evidence = download(SOME, declared="application/pdf", sniffed="application/pdf")
    assert judge(evidence, url=SOME, seen_at=SEEN_AT).judgement is Judgement.INCONCLUSIVE


@pytest.mark.parametrize("outcome", Outcome)
def test_a_scan_without_a_page_is_inconclusive_and_says_why(outcome: Outcome) -> None:
    """Every outcome has its sentence."""
    verdict = inconclusive(outcome, Evidence(), url=SOME)
    assert (verdict.judgement, verdict.score, verdict.hits) == (Judgement.INCONCLUSIVE, 0, ())
    assert OUTCOME_MESSAGES[outcome] in verdict.summary


def test_partial_evidence_can_still_be_suspicious() -> None:
    """The host of a page that timed out is evidence enough to be careful."""
    evidence = way("https://usps.com-track.example/us")
    verdict = inconclusive(Outcome.FETCH_TIMEOUT, evidence, CORE)
    assert verdict.judgement is Judgement.SUSPICIOUS
    assert verdict.hits[0].pointer == "/hops/0/url"


def test_a_redirect_to_cloud_metadata_is_suspicious() -> None:
    """The address was refused, so there was no page; nobody links to it by mistake."""
    led = Refusal(host="169.254.169.254", port=80, rule="metadata", url=SOME)
    verdict = inconclusive(Outcome.ADDRESS_REFUSED, way(SOME, refusals=(led,)))
    assert verdict.judgement is Judgement.SUSPICIOUS


def test_the_verdict_names_its_ruleset() -> None:
    """A verdict of new rules can be distinguished from the old one."""
    assert CORE.version == "core-4"
    named = judge(Evidence(), url=SOME, seen_at=SEEN_AT, ruleset=Ruleset("mine-7", ()))
    assert named.ruleset == "mine-7"


def test_hits_come_strongest_first() -> None:
    """The best reason comes first, and the facts in favour of the page come last."""
    weights = [hit.weight for hit in _of(login("PayPal login", links_total=9, links_null=9)).hits]
    assert weights == sorted(weights, reverse=True)
    assert len(weights) >= 4


def test_the_time_comes_from_outside() -> None:
    """Rescoring years later gives the same bytes, because `seen_at` is the scan's."""
    evidence = way(SOME)
    once = judge(evidence, url=SOME, seen_at=datetime(2026, 1, 1, tzinfo=UTC))
    later = judge(evidence, url=SOME, seen_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert msgspec.json.encode(once) == msgspec.json.encode(later)
