"""Signs in the page: the brand that it names, how it was made, and the targets of its links.

These signs are left out because they are more common on harmless pages: eval, unescape,
document.write, atob, hidden frames, noindex, foreign favicons.
"""

from collections import Counter
from collections.abc import Iterator

from safeurl.analysis.brands import owner_of
from safeurl.analysis.context import MAX_HOPS, Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.analysis.site import site_of
from safeurl.analysis.target import split
from safeurl.model.verdict import Category, Group

_FEW_LINKS = 5
_BORROWED_SHARE = 0.6
#: The most links that are read. A page may have thousands, and the first ones are its navigation.
_LINKS_READ = 100
_SOON_S = 10


def title_brand(ctx: Context) -> Iterator[Finding]:
    """Find a title that is only a brand's name, on a foreign host."""
    if ctx.named and ctx.named.is_all:
        reason = f"The title is that of {ctx.named.brand.name}, the host is not theirs."
        yield Finding("/page/title", reason, ctx.page.title)


def disguised_brand(ctx: Context) -> Iterator[Finding]:
    """Find a brand's name in letters of another script, which people read but filters do not."""
    if ctx.named and ctx.named.is_disguised:
        reason = f"The title writes {ctx.named.brand.name} with look-alike letters."
        yield Finding("/page/title", reason, ctx.page.title)


def null_links(ctx: Context) -> Iterator[Finding]:
    """Find a page most of whose links lead nowhere."""
    if _has_null_links(ctx):
        yield Finding("/page/links_null", _null_reason(ctx))


def null_links_login(ctx: Context) -> Iterator[Finding]:
    """Find such a page that also asks for a password."""
    if _has_null_links(ctx) and ctx.logins:
        yield Finding(ctx.logins[0][0], f"{_null_reason(ctx)} It still asks for a password.")


def saver_mark(ctx: Context) -> Iterator[Finding]:
    """Find the mark of a page saver: the page is a copy of another one."""
    if ctx.page.saver_mark:
        reason = "The page was copied with a page saver."
        yield Finding("/page/saver_mark", reason, ctx.page.saver_mark)


def saved_login(ctx: Context) -> Iterator[Finding]:
    """Find a copied page that asks for a password."""
    if ctx.page.saver_mark and ctx.logins:
        reason = "The page was copied with a page saver and asks for a password."
        yield Finding(ctx.logins[0][0], reason, ctx.page.saver_mark)


def meta_refresh(ctx: Context) -> Iterator[Finding]:
    """Find a page that leads its visitor to another site as soon as it is shown."""
    for i, hop in enumerate(ctx.evidence.hops[:MAX_HOPS]):
        if hop.via == "meta_refresh" and i and _differs(ctx.evidence.hops[i - 1].url, hop.url):
            yield Finding(f"/hops/{i}", "A page sent the visitor on to another site.", hop.url)
    refresh = ctx.page.meta_refresh
    here = ctx.final.target.url
    if refresh and refresh.url and refresh.delay_s <= _SOON_S and _differs(here, refresh.url):
        reason = "The page sends the visitor on to another site."
        yield Finding("/page/meta_refresh", reason, refresh.url)


def borrowed_links(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for a password and most of whose links lead to a foreign brand."""
    if not ctx.logins:
        return
    hosts = [split(link.url).host for link in ctx.page.links[:_LINKS_READ]]
    foreign = Counter(
        owner.name
        for host in hosts
        if host and (owner := owner_of(host, site_of(host))) and owner is not ctx.final.owner
    )
    for name, count in foreign.most_common(1):
        if count >= _FEW_LINKS and count >= _BORROWED_SHARE * len(hosts):
            reason = f"{count} of {len(hosts)} links lead to {name}, the password does not."
            yield Finding("/page/links", reason)


def _has_null_links(ctx: Context) -> bool:
    return ctx.page.links_total >= _FEW_LINKS and ctx.page.links_null * 2 > ctx.page.links_total


def _null_reason(ctx: Context) -> str:
    return f"{ctx.page.links_null} of the page's {ctx.page.links_total} links lead nowhere."


def _differs(before: str, after: str) -> bool:
    there = split(after).host
    return bool(there) and site_of(there).name != site_of(split(before).host).name


_PHISHING = (Category.PHISHING,)

RULES = (
    Rule(
        id="html.title_brand",
        group=Group.HTML,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=title_brand,
    ),
    Rule(
        id="html.disguised_brand",
        group=Group.HTML,
        weight=Weight.STRONG,
        categories=_PHISHING,
        check=disguised_brand,
    ),
    Rule(
        id="html.null_links",
        group=Group.HTML,
        weight=Weight.WEAK,
        categories=_PHISHING,
        check=null_links,
    ),
    Rule(
        id="html.null_links_login",
        group=Group.HTML,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=null_links_login,
    ),
    Rule(
        id="html.saver_mark",
        group=Group.HTML,
        weight=Weight.MODERATE,
        categories=_PHISHING,
        check=saver_mark,
    ),
    Rule(
        id="html.saved_login",
        group=Group.HTML,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=saved_login,
    ),
    Rule(id="html.meta_refresh", group=Group.HTML, weight=Weight.MODERATE, check=meta_refresh),
    Rule(
        id="html.borrowed_links",
        group=Group.HTML,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=borrowed_links,
    ),
)
