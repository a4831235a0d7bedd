"""The conclusion drawn from evidence, and the hits that explain every point of it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from safeurl.model.scan import Scan
from safeurl.state import Outcome


class Judgement(StrEnum):
    """What SafeURL concludes about a URL; one fetch never proves a page safe."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    BENIGN = "benign"
    INCONCLUSIVE = "inconclusive"


class Category(StrEnum):
    """What kind of harm a page does."""

    MALWARE = "malware"
    PHISHING = "phishing"
    SCAM = "scam"
    SUSPICIOUS = "suspicious"
    ADULT_CONTENT = "adult_content"
    VIOLENCE = "violence"
    ILLEGAL_CONTENT = "illegal_content"
    MISINFORMATION = "misinformation"
    SPAM = "spam"
    OTHER = "other"


class Group(StrEnum):
    """Which kind of evidence a rule reads; hits of two groups are independent of each other."""

    URL = "url"
    HOST = "host"
    TLS = "tls"
    CHAIN = "chain"
    HTML = "html"
    FORM = "form"
    JS = "js"
    LURE = "lure"
    VISUAL = "visual"
    FILE = "file"
    INTEL = "intel"
    CONTEXT = "context"


class Hit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule that fired, with where in the evidence to look."""

    rule: str
    version: int
    group: Group
    #: What the rule adds by itself, as a probability; negative for context that subtracts.
    weight: float
    categories: tuple[Category, ...] = ()
    #: One sentence.
    reason: str
    #: JSON pointer (RFC 6901) into the stored evidence.
    pointer: str
    excerpt: Annotated[str, Meta(max_length=200)] = ""


class Verdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Score 0–100, judgement and the hits behind them."""

    score: Annotated[int, Meta(ge=0, le=100)]
    judgement: Judgement
    categories: tuple[Category, ...] = ()
    #: Strongest first.
    hits: tuple[Hit, ...] = ()
    ruleset: str
    #: One sentence that says why this judgement.
    summary: str


def is_concluded(scan: Scan, judgement: str) -> bool:
    """Tell whether the judgement says something: that of a scan that was cancelled may say nothing.

    What the URL alone shows of it stands.
    """
    return scan.outcome is not Outcome.CANCELLED or judgement != Judgement.INCONCLUSIVE
