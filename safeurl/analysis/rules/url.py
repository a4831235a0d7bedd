"""Signs in the URL after the host name. They are weak: forms of URLs change with every kit."""

import re
from collections.abc import Iterator

from safeurl.analysis.brands import own_domains
from safeurl.analysis.context import Context
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.model.verdict import Category, Group
from safeurl.url import username

#: Folders of a content management system with files that no visitor opens as a page.
_KIT_FOLDER = re.compile(
    r"/(?:wp-includes|wp-admin|wp-content/(?:uploads|plugins|themes|mu-plugins|upgrade)|\.well-known)"
    r"/[^?#]{0,300}?(?:\.php|\.html?|/)$",
)
_NOT_A_KIT = ("admin-ajax.php", "/wp-admin/", "/wp-admin/index.php", "wp-login.php")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,100}")
#: Sites whose paths usually contain the addresses of other sites.
_QUOTING_SITES = frozenset(
    {"archive.org", "archive.ph", "archive.is", "archive.today", "google.com", "bing.com"},
)


def userinfo(ctx: Context) -> Iterator[Finding]:
    """Find `https://paypal.com@evil.example/`, which shows one host and leads to another."""
    for pointer, text, base in ctx.written:
        shown = username(text, base)
        if "." in shown:
            reason = "What looks like the host is only a user name in front of the real host."
            yield Finding(pointer, reason, f"{shown}@")


def brand_path(ctx: Context) -> Iterator[Finding]:
    """Find a brand's own domain as a folder of a foreign site."""
    known = own_domains()
    for step in ctx.steps:
        if step.site.name in _QUOTING_SITES or step.owner:
            continue
        for segment in step.target.path.lower().split("/")[1:]:
            if brand := known.get(segment.removeprefix("www.")):
                reason = f"The path holds {brand.name}'s own domain, on a foreign host."
                yield Finding(step.pointer, reason, step.target.url)


def kit_folder(ctx: Context) -> Iterator[Finding]:
    """Find pages in folders for parts of a site, in which intruders place phishing kits."""
    for step in ctx.steps:
        path = step.target.path.lower()
        if _KIT_FOLDER.search(path) and not path.endswith(_NOT_A_KIT):
            reason = "The page lies in a system folder, where intruders hide pages."
            yield Finding(step.pointer, reason, step.target.url)


def victim_mail(ctx: Context) -> Iterator[Finding]:
    """Find an e-mail address after the `#`, with which the page fills in the victim's name."""
    for step in ctx.steps:
        if _MAIL.search(step.target.fragment):
            reason = "The URL carries somebody's e-mail address in its fragment."
            yield Finding(step.pointer, reason, step.target.url)


RULES = (
    Rule(
        id="url.userinfo",
        version=2,
        group=Group.URL,
        weight=Weight.MODERATE,
        categories=(Category.PHISHING,),
        check=userinfo,
    ),
    Rule(
        id="url.brand_path",
        group=Group.URL,
        weight=Weight.WEAK,
        categories=(Category.PHISHING,),
        check=brand_path,
    ),
    Rule(
        id="url.kit_folder",
        group=Group.URL,
        weight=Weight.MODERATE,
        categories=(Category.PHISHING,),
        check=kit_folder,
    ),
    Rule(
        id="url.victim_mail",
        group=Group.URL,
        weight=Weight.WEAK,
        categories=(Category.PHISHING,),
        check=victim_mail,
    ),
)
