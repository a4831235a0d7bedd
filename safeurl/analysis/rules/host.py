"""Signs in host names: brands where they do not belong to the owner of the host."""

import re
from collections.abc import Iterator
from itertools import pairwise

from safeurl.analysis.brands import (
    Brand,
    by_skeleton,
    by_word,
    long_words,
    own_domains,
)
from safeurl.analysis.context import Context, Step
from safeurl.analysis.data import words
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.analysis.text import is_one_edit
from safeurl.model.verdict import Category, Group

#: Words that a host name contains only to look trustworthy.
_CREDENTIAL = re.compile(
    r"(?:log-?[io]n|sign-?[io]n|secur|verif|auth|account|acct|update|support|help|billing|wallet|"
    r"confirm|recover|unlock|suspend|alert|webmail|bank|card|pay|signup|sso|service|customer|"
    r"refund|track|parcel|delivery|invoice|start|suite|live|cdn|\bid\b|konto|cuenta|compte|client)",
)
#: Words of projects that imitate a brand as an exercise.
_EXERCISE = re.compile(r"clone|demo|tutorial|portfolio|practice|assignment")
#: Libraries use names such as `www.publisher.com.ezproxy.example.edu` for publishers.
_LIBRARY = re.compile(r"proxy|libgen|library|\.translate\.goog$")
_MANY_LABELS = 4
_LONG_HOST = 60


def embedded_domain(ctx: Context) -> Iterator[Finding]:
    """Find `usps.com-track.example`: a brand's complete domain before a foreign site."""
    known = own_domains()
    for step in ctx.hosts:
        if _LIBRARY.search(step.target.host):
            continue
        for domain in _leading_domains(step):
            if (brand := known.get(domain)) and brand is not step.owner:
                reason = f"The host name begins with {brand.name}'s own domain but is not theirs."
                yield Finding(step.pointer, reason, step.target.host)


def brand_word(ctx: Context) -> Iterator[Finding]:
    """Find a brand's name as a word of a host that does not belong to the brand."""
    for step in ctx.hosts:
        if (brand := _named(step)) and not _EXERCISE.search(step.target.host):
            reason = f"The host name names {brand.name} but is not theirs."
            yield Finding(step.pointer, reason, step.target.host)


def brand_service(ctx: Context) -> Iterator[Finding]:
    """Find a brand's name together with a word such as `login`, on a foreign host."""
    for step in ctx.hosts:
        brand = _named(step) or _glued(step)
        if brand and _has_credential_word(step) and not _EXERCISE.search(step.target.host):
            reason = f"The host name poses as a service of {brand.name}."
            yield Finding(step.pointer, reason, step.target.host)


def lookalike(ctx: Context) -> Iterator[Finding]:
    """Find a word that looks like a brand's: look-alike letters, or one different letter."""
    for step in ctx.hosts:
        for word in _words(step):
            if (brand := _resembles(word)) and brand is not step.owner:
                reason = f"The host name is spelt to be taken for {brand.name}."
                yield Finding(step.pointer, reason, f"{step.target.host} ({word})")


def many_labels(ctx: Context) -> Iterator[Finding]:
    """Find so many labels that a reader does not see the real site."""
    for step in ctx.hosts:
        if len(step.site.labels) >= _MANY_LABELS:
            reason = f"{len(step.site.labels)} labels stand in front of the site's own name."
            yield Finding(step.pointer, reason, step.target.host)


def long_name(ctx: Context) -> Iterator[Finding]:
    """Find a host name that is longer than an address bar."""
    for step in ctx.hosts:
        if len(step.target.host) > _LONG_HOST:
            yield Finding(step.pointer, "The host name is very long.", step.target.host)


def literal(ctx: Context) -> Iterator[Finding]:
    """Find a page on an IP address, which has no host name."""
    if ctx.final.site.is_address:
        reason = "The page is served from a bare IP address."
        yield Finding(ctx.final.pointer, reason, ctx.final.target.host)


def _leading_domains(step: Step) -> Iterator[str]:
    """Yield `usps.com` for `usps.com-track.example` and `x.usps.com.track.example`."""
    labels = [*step.site.labels, step.site.own_label]
    for left, right in pairwise(labels):
        yield f"{left}.{right.partition('-')[0]}"
    for label in labels:
        parts = label.split("-")
        yield from (f"{a}.{b}" for a, b in pairwise(parts) if b in {"com", "net", "org"})


def _words(step: Step) -> Iterator[str]:
    """Yield the words of the host before its public suffix, with punycode decoded."""
    for label in (*step.site.labels, step.site.own_label):
        shown = _decoded(label)
        yield from (word for word in shown.split("-") if word)
        if "-" in shown:
            yield shown


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _named(step: Step) -> Brand | None:
    for word in _words(step):
        found = by_word(word)
        if found and found[0] is not step.owner and (not found[1] or _has_credential_word(step)):
            return found[0]
    return None


def _glued(step: Step) -> Brand | None:
    """Find a long brand word followed directly by a credential word (`paypallogin`)."""
    for word in _words(step):
        for name, brand in long_words():
            rest = word.removeprefix(name).removesuffix(name)
            if rest != word and brand is not step.owner and _CREDENTIAL.fullmatch(rest):
                return brand
    return None


def _has_credential_word(step: Step) -> bool:
    return any(_CREDENTIAL.match(word) for word in _words(step))


def _resembles(word: str) -> Brand | None:
    if by_word(word):
        return None
    if found := by_skeleton(word):
        return found[1]
    near = (b for name, b in long_words() if word[:1] == name[:1] and is_one_edit(word, name))
    is_ordinary = by_word(word.removesuffix("s")) or word in words("ordinary_words.txt")
    return None if is_ordinary else next(near, None)


_PHISHING = (Category.PHISHING,)

RULES = (
    Rule(
        id="host.embedded_domain",
        group=Group.HOST,
        weight=Weight.STRONG,
        categories=_PHISHING,
        check=embedded_domain,
    ),
    Rule(
        id="host.brand_word",
        group=Group.HOST,
        weight=Weight.MODERATE,
        categories=_PHISHING,
        check=brand_word,
    ),
    Rule(
        id="host.brand_service",
        group=Group.HOST,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=brand_service,
    ),
    Rule(
        id="host.lookalike",
        group=Group.HOST,
        weight=Weight.FIRM,
        categories=_PHISHING,
        check=lookalike,
    ),
    Rule(id="host.many_labels", group=Group.HOST, weight=Weight.WEAK, check=many_labels),
    Rule(id="host.long_name", group=Group.HOST, weight=Weight.FAINT, check=long_name),
    Rule(id="host.literal", group=Group.HOST, weight=Weight.WEAK, check=literal),
)
