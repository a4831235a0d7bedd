"""Signs in forms: what they ask for, where they send it, and on whose host they are.

Two signs are left out because they are more common on harmless pages: a form that posts to another
site, and an empty action.
"""

import re
from collections.abc import Iterator

from safeurl.analysis.context import Context
from safeurl.analysis.forms import MAX_FIELDS, label, names, targets
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.analysis.target import split
from safeurl.model.report import FormField
from safeurl.model.verdict import Category, Group

_SEED_WORDS = re.compile(
    r"(?:seed|recovery|secret|backup|mnemonic)[\s_-]{0,3}(?:phrase|words?|recovery)|mnemonic|"
    r"private[\s_-]{0,3}key|(?:12|24)[\s-]{0,3}words?\b",
)
_NUMBERED_WORD = re.compile(r"(?:word|phrase|seed|input|w)?[\s_.#-]{0,2}\d{1,2}[.)]?")
_SEED_LENGTH = 12
#: Services that send a form's content to their user, who needs no server.
_DROPS = re.compile(
    r"(?:^|\.)(?:api\.telegram\.org|discord(?:app)?\.com|formspree\.io|formsubmit\.co|formcarry\.com|"
    r"getform\.io|submit-form\.com|formbackend\.com|web3forms\.com|formsubmit\.io|herotofu\.com|"
    r"script\.google\.com|webhook\.site|pipedream\.net|formtools\.dev|sheetdb\.io|usebasin\.com)$",
)
_USUAL_PHP = ("wp-login.php", "ucp.php", "/login.php", "/index.php", "/member.php")


def brand_login(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for secrets with a brand's title on a foreign host."""
    for pointer, _ in ctx.secret_forms:
        if ctx.named and ctx.named.is_all:
            name = ctx.named.brand.name
            reason = f"A page titled as {name} asks for secrets on a host that is not theirs."
            yield Finding(pointer, reason, f"{ctx.page.title} | {ctx.final.target.host}")


def brand_mention(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for a password and whose title names a brand among other words."""
    for pointer, _ in ctx.secret_forms:
        if ctx.named and not ctx.named.is_all:
            reason = f"The page asks for secrets; its title mentions {ctx.named.brand.name}."
            yield Finding(pointer, reason, f"{ctx.page.title} | {ctx.final.target.host}")


def card(ctx: Context) -> Iterator[Finding]:
    """Find a page whose own form asks for a card's number and its security code."""
    for pointer, form in ctx.cards:
        if not ctx.final.owner:
            reason = "A form asks for a card's number and its security code."
            yield Finding(pointer, reason, names(form))


def free_hosted(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for secrets on a host name that is free of charge."""
    for pointer, form in ctx.secret_forms:
        if ctx.final.site.is_free_hosted:
            reason = "A page on free hosting asks for a password or card."
            yield Finding(pointer, reason, f"{ctx.final.target.host}: {names(form)}")


def plain_http(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for secrets without encryption."""
    for pointer, form in ctx.secret_forms:
        if ctx.final.target.scheme == "http" and not ctx.final.site.is_address:
            reason = "A password or card is asked for over plain http."
            yield Finding(pointer, reason, names(form))


def address_login(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for secrets on an IP address."""
    for pointer, form in ctx.secret_forms:
        if ctx.final.site.is_address:
            reason = "A password or card is asked for on a bare IP address."
            yield Finding(pointer, reason, f"{ctx.final.target.host}: {names(form)}")


def own_php(ctx: Context) -> Iterator[Finding]:
    """Find a password that goes to a script in the page's folder, as in phishing kits."""
    here = ctx.final.target
    for pointer, form in ctx.logins:
        for place, url in targets(form):
            action = split(url)
            path = action.path.lower()
            if not path.endswith(".php") or path.endswith(_USUAL_PHP):
                continue
            if action.host == here.host and action.folder == here.folder:
                reason = "The password goes to a .php file beside the page."
                yield Finding(f"{pointer}/{place}", reason, url)


def drop(ctx: Context) -> Iterator[Finding]:
    """Find secrets that go to a messenger's bot or a form mailer."""
    for pointer, form in ctx.secret_forms:
        for place, url in targets(form):
            if _DROPS.search(split(url).host) and not ctx.final.owner:
                reason = "What is typed goes to a form mailer or a messenger's bot."
                yield Finding(f"{pointer}/{place}", reason, url)


def seed_phrase(ctx: Context) -> Iterator[Finding]:
    """Find a page that asks for the recovery words of a crypto wallet; no legitimate site does."""
    asked = _SEED_WORDS.search(ctx.text) or _SEED_WORDS.search(ctx.title)
    for pointer, form in ctx.forms:
        boxes = [
            f
            for f in form.fields[:MAX_FIELDS]
            if f.type.lower() in {"", "text", "password", "textarea"}
        ]
        named = any(_SEED_WORDS.search(label(f)) for f in boxes)
        numbered = sum(1 for f in boxes if _is_numbered(f))
        if named or (asked and numbered >= _SEED_LENGTH):
            yield Finding(pointer, "A form asks for the words that open a wallet.", names(form))


def _is_numbered(field: FormField) -> bool:
    texts = (field.name.lower().strip(), field.placeholder.lower().strip())
    return any(text and _NUMBERED_WORD.fullmatch(text) for text in texts)


_PHISHING = (Category.PHISHING,)

RULES = (
    Rule(
        id="form.brand_login",
        group=Group.FORM,
        weight=Weight.HEAVY,
        categories=_PHISHING,
        check=brand_login,
    ),
    Rule(
        id="form.brand_mention",
        group=Group.FORM,
        weight=Weight.MODERATE,
        categories=_PHISHING,
        check=brand_mention,
    ),
    Rule(
        id="form.card",
        group=Group.FORM,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=card,
    ),
    Rule(
        id="form.free_hosted",
        group=Group.FORM,
        weight=Weight.MODERATE,
        categories=_PHISHING,
        check=free_hosted,
    ),
    Rule(id="form.plain_http", group=Group.FORM, weight=Weight.MODERATE, check=plain_http),
    Rule(
        id="form.address_login",
        group=Group.FORM,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=address_login,
    ),
    Rule(id="form.own_php", group=Group.FORM, weight=Weight.WEAK, check=own_php),
    Rule(
        id="form.drop",
        group=Group.FORM,
        weight=Weight.STRONG,
        categories=_PHISHING,
        check=drop,
    ),
    Rule(
        id="form.seed_phrase",
        group=Group.FORM,
        weight=Weight.HEAVY,
        categories=(Category.PHISHING, Category.SCAM),
        check=seed_phrase,
    ),
)
