"""Facts in favour of the page, and facts that hide it. Context never increases the score."""

import re
from collections.abc import Iterator

from safeurl.analysis.context import Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.analysis.target import split
from safeurl.model.verdict import Group

_CHALLENGE = re.compile(
    r"^just a moment|attention required! \| cloudflare|^ddos-guard|checking your browser before|"
    r"^access denied$|verifying you are human\. this may take|^one moment, please|robot check|"
    r"^pardon our interruption|performing security verification|^human verification$|"
    r"enable javascript and cookies to continue|^vercel security checkpoint",
)
_PARKED = re.compile(
    r"(?:domain|website).{0,80}(?:is|may be) for sale|buy this domain|"
    r"this domain is parked|domain parking|"
    r"parked free|hugedomains|sedo domain|this domain (?:has )?expired|future home of",
)
_SUSPENDED = re.compile(
    r"account (?:has been )?suspended|(?:web)?site (?:has been|is) "
    r"(?:suspended|disabled|unavailable)|"
    r"there isn't a github pages site here|deployment_not_found|no such app|site not found|"
    r"suspected phishing|deceptive site|"
    r"this (?:page|link|site) has been (?:removed|blocked|reported)",
)
#: A longer text is an article about such pages, not such a page.
_NOTICE_CHARS = 1500
_BLOCKED = frozenset({401, 403, 407, 429, 451})
_GONE = frozenset({404, 410})
_SERVER_FAULT = 500
#: The absolute URL in a `Refresh` header, with or without quotes; rules need no other part.
_REFRESH_URL = re.compile(
    r"[;,]\s{0,9}(?:url\s{0,9}=\s{0,9})?[\"']?(https?:[^\"'\s]{1,8192})", re.IGNORECASE
)
_SENDS = "The page sends its visitor on to"
#: A URL without a user name, which could be taken for the host, and with a limited length.
_PLAIN_URL = re.compile(
    r"(https?)://([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)(?![^/?#])((?:[/?#][A-Za-z0-9._~/?#%&=+-]{0,100})?)"
)
_PLAIN_HOST = re.compile(r"[a-z0-9.-]{1,253}")
_ARCHIVES = frozenset({"archive.org", "archive.ph", "archive.is", "archive.today"})


def own_host(ctx: Context) -> Iterator[Finding]:
    """Find a page on a brand's own host."""
    owner = ctx.final.owner
    if owner and ctx.evidence.page and not ctx.final.site.is_free_hosted:
        reason = f"The page is on {owner.name}'s own host."
        yield Finding(ctx.final.pointer, reason, ctx.final.target.host)


def archive(ctx: Context) -> Iterator[Finding]:
    """Find the copy of an archive; its forms send nothing to the original site."""
    if ctx.final.site.name in _ARCHIVES and ctx.evidence.page:
        reason = "The page is an archive's copy."
        yield Finding(ctx.final.pointer, reason, ctx.final.target.host)


def challenge(ctx: Context) -> Iterator[Finding]:
    """Find a challenge in front of the page that the fetcher did not pass."""
    if ctx.headers.get("cf-mitigated", "").lower() == "challenge":
        pointer = f"{ctx.final_hop_pointer}/headers"
        yield Finding(pointer, "A challenge stood in front of the page.", "cf-mitigated: challenge")
    yield from _notice(ctx, _CHALLENGE, "A challenge stood in front of the page.")


def parked(ctx: Context) -> Iterator[Finding]:
    """Find a domain that nobody uses now."""
    yield from _notice(ctx, _PARKED, "The domain is parked or for sale.")


def suspended(ctx: Context) -> Iterator[Finding]:
    """Find a page that its host removed, or that never existed."""
    yield from _notice(ctx, _SUSPENDED, "The page was taken down or never put up.")


def blocked(ctx: Context) -> Iterator[Finding]:
    """Find a server that refused the fetcher; it may serve other clients."""
    if (hop := ctx.final_hop) and hop.status in _BLOCKED:
        reason = f"The server refused to show the page (status {hop.status})."
        yield Finding(f"{ctx.final_hop_pointer}/status", reason, str(hop.status))


def gone(ctx: Context) -> Iterator[Finding]:
    """Find a server that reports a missing page or its own failure."""
    status = hop.status if (hop := ctx.final_hop) else None
    if status and (status in _GONE or status >= _SERVER_FAULT):
        reason = f"The server had no page to show (status {status})."
        yield Finding(f"{ctx.final_hop_pointer}/status", reason, str(status))


def unfollowed(ctx: Context) -> Iterator[Finding]:
    """Find a page that leads its visitor to a URL that the fetcher did not open.

    The target was not seen: it was refused, did not answer, came too late, or only a script leads
    to it.
    """
    hop, page = ctx.final_hop, ctx.evidence.page
    if hop is None or page is None:
        return
    here = ctx.final_hop_pointer
    if hop.via == "meta_refresh" and hop.status is None:
        yield Finding(f"{here}/url", f"{_to(hop.url)}, and that did not answer.", hop.url)
    elif hop.location is not None:
        reason = "The page leads to a redirect that was not followed."
        yield Finding(f"{here}/location", reason, hop.location)
    else:
        yield from _leads(ctx)


def _leads(ctx: Context) -> Iterator[Finding]:
    """Find the targets to which the page leads without a click."""
    # The amount of text has no effect: an attacker can add any text to such a page.
    for i, lead in enumerate(ctx.page.onward):
        when = " where a condition of its script holds" if lead.conditional else ""
        reason = f"{_to(lead.url)}{when}, which was not opened."
        yield Finding(f"/page/onward/{i}", reason, lead.url)
    for pointer, url in _refreshes(ctx):
        if url.partition("#")[0] != ctx.final.target.url.partition("#")[0]:
            yield Finding(pointer, f"{_to(url)}, which was not opened.", url)


def scripts_cut(ctx: Context) -> Iterator[Finding]:
    """Find scripts that were not read to their end, and so may lead elsewhere."""
    if ctx.page.scripts_cut:
        reason = "The page's scripts are too long to be read whole: they may lead elsewhere."
        yield Finding("/page/scripts_cut", reason, "true")


def _refreshes(ctx: Context) -> Iterator[tuple[str, str]]:
    """Yield the targets of the page's refreshes, each with its place in the evidence.

    Evidence of older versions has them only in these places.
    """
    refresh = ctx.page.meta_refresh
    if refresh is not None and refresh.url and _is_web(refresh.url):
        yield "/page/meta_refresh/url", refresh.url
    header = ctx.headers.get("refresh", "")
    if match := _REFRESH_URL.search(header):
        yield f"{ctx.final_hop_pointer}/headers", match[1]


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http:", "https:"))


def _to(url: str) -> str:
    """Return a sentence with the defanged target of the page; only plain ASCII of it is quoted."""
    if not url:
        return f"{_SENDS} an address that a script works out"
    if plain := _PLAIN_URL.match(url):
        rest = "" if plain.end() == len(url) else "…"
        return f"{_SENDS} {_defanged(plain[1])}://{_defanged(plain[2])}{plain[3]}{rest}"
    host = split(url).host
    return f"{_SENDS} {_defanged(host) if _PLAIN_HOST.fullmatch(host) else 'another one'}"


def _defanged(text: str) -> str:
    return (
        text.replace("http", "hxxp", 1) if text in {"http", "https"} else text.replace(".", "[.]")
    )


def _notice(ctx: Context, pattern: re.Pattern[str], reason: str) -> Iterator[Finding]:
    for pointer, raw, text in (
        ("/page/title", ctx.page.title, ctx.title),
        ("/page/text", ctx.page.text, ctx.text),
    ):
        if len(ctx.text) <= _NOTICE_CHARS and not ctx.logins and pattern.search(text):
            yield Finding(pointer, reason, raw)


RULES = (
    Rule(id="context.own_host", group=Group.CONTEXT, weight=Weight.STRONG_CREDIT, check=own_host),
    Rule(id="context.archive", group=Group.CONTEXT, weight=Weight.STRONG_CREDIT, check=archive),
    Rule(
        id="context.challenge",
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=challenge,
        hides_page=True,
    ),
    Rule(
        id="context.parked",
        group=Group.CONTEXT,
        weight=Weight.CREDIT,
        check=parked,
        hides_page=True,
    ),
    Rule(
        id="context.suspended",
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=suspended,
        hides_page=True,
    ),
    Rule(
        id="context.blocked",
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=blocked,
        hides_page=True,
    ),
    Rule(
        id="context.unfollowed",
        version=3,
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=unfollowed,
        hides_page=True,
    ),
    Rule(
        id="context.scripts_cut",
        version=2,
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=scripts_cut,
    ),
    Rule(
        id="context.gone",
        group=Group.CONTEXT,
        weight=Weight.REMARK,
        check=gone,
        hides_page=True,
    ),
)
