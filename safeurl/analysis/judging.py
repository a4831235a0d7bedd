"""Makes a verdict from evidence, for a scan with a page and for a scan without one."""

from datetime import datetime

from safeurl.analysis import brands, site
from safeurl.analysis.context import Context
from safeurl.analysis.engine import categories, is_confirmed, run, score
from safeurl.analysis.rule import Ruleset
from safeurl.analysis.rules import CORE
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.report import Evidence
from safeurl.model.verdict import Category, Hit, Judgement, Verdict
from safeurl.state import Outcome

#: The lowest scores of these judgements. A page with one sign that harmless pages have too stays
#: below SUSPICIOUS. From MALICIOUS on, the engine needs independent signs.
MALICIOUS = 70
SUSPICIOUS = 40
#: A page that waits for scripts in other files shows at most this many characters ("Loading",
#: "Please enable JavaScript"). Of 1,257 real pages, no complete one showed so few.
_SHELL_CHARS = 100


def judge(
    evidence: Evidence,
    *,
    url: str,
    seen_at: datetime,
    submitted: str = "",
    ruleset: Ruleset = CORE,
) -> Verdict:
    """Return the verdict on a page from its evidence; `submitted` is its URL as written.

    The same evidence, URLs, time and rules give the same bytes. No evidence raises an error.
    """
    hits, hidden = run(ruleset, Context(evidence, url, seen_at, submitted))
    unseen = (
        _unseen(evidence)
        or (hidden[0] if hidden else "")
        or _unread(evidence)
        or _scripts_unread(evidence)
    )
    return _verdict(hits, ruleset, unseen)


def inconclusive(  # noqa: PLR0913 - what is known of a scan that saw no page
    outcome: Outcome,
    evidence: Evidence,
    ruleset: Ruleset = CORE,
    *,
    url: str = "",
    seen_at: datetime | None = None,
    submitted: str = "",
) -> Verdict:
    """Return the verdict on a scan that ended without a page; rules still read its evidence.

    `url` is the URL that should be opened; if it is empty, the first hop's URL is used.
    """
    first = evidence.hops[0].url if evidence.hops else ""
    hits, _ = run(ruleset, Context(evidence, url or first, seen_at, submitted))
    return _verdict(hits, ruleset, OUTCOME_MESSAGES[outcome])


def preload() -> None:
    """Read all tables now, so that processes forked later share them."""
    site.preload()
    brands.preload()


def _verdict(hits: tuple[Hit, ...], ruleset: Ruleset, unseen: str) -> Verdict:
    points = score(hits)
    judgement = _judgement(points, unseen)
    return Verdict(
        score=points,
        judgement=judgement,
        categories=_categories(hits, judgement),
        hits=hits,
        ruleset=ruleset.version,
        summary=_summary(judgement, hits, unseen),
    )


def _judgement(points: int, unseen: str) -> Judgement:
    if points >= MALICIOUS:
        return Judgement.MALICIOUS
    if points >= SUSPICIOUS:
        return Judgement.SUSPICIOUS
    return Judgement.INCONCLUSIVE if unseen else Judgement.BENIGN


def _unseen(evidence: Evidence) -> str:
    """Return the reason why the evidence shows no page; an empty string if it shows one."""
    page = evidence.page
    if page is None:
        return "What came back is not a page." if evidence.body else "No page came back."
    own_forms = [form for form in page.forms if not form.by_script]
    loads = any(script.url for script in page.scripts)
    shown = len(page.text.strip())
    if shown > (_SHELL_CHARS if loads else 0) or own_forms or page.onward:
        return ""
    drawn = "The page is drawn by scripts, which were not run."
    return _unread(evidence) or (drawn if page.scripts else "The page is empty.")


def _unread(evidence: Evidence) -> str:
    """Return a sentence if a part of the page is missing; else an empty string."""
    page, body = evidence.page, evidence.body
    is_part = (page is not None and page.partial) or (body is not None and body.truncated)
    return "Only a part of the page could be read." if is_part else ""


def _scripts_unread(evidence: Evidence) -> str:
    """Return the reason if the end of the page's scripts was not read; else an empty string."""
    page = evidence.page
    if page is None or not page.scripts_cut:
        return ""
    return "The page's scripts are too long to be read whole: they may lead elsewhere."


def _categories(hits: tuple[Hit, ...], judgement: Judgement) -> tuple[Category, ...]:
    if judgement not in (Judgement.MALICIOUS, Judgement.SUSPICIOUS):
        return ()
    return categories(hits) or (Category.SUSPICIOUS,)


def _summary(judgement: Judgement, hits: tuple[Hit, ...], unseen: str) -> str:
    signs = [h for h in hits if h.weight > 0]
    match judgement:
        case Judgement.MALICIOUS:
            return f"Malicious: {_count(signs)}; the strongest: {signs[0].reason}"
        case Judgement.SUSPICIOUS:
            held = "" if is_confirmed(hits) else ", though nothing independent confirms it"
            return f"Suspicious{held}: {_count(signs)}; the strongest: {signs[0].reason}"
        case Judgement.BENIGN:
            rest = f"only {_count(signs)}" if signs else "no sign of harm"
            return f"Nothing bad was found: {rest}. One look never proves a page safe."
        case Judgement.INCONCLUSIVE:
            return f"Not concluded: {unseen}"


def _count(signs: list[Hit]) -> str:
    return f"{len(signs)} sign{'' if len(signs) == 1 else 's'}"
