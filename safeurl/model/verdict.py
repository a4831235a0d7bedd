"""The conclusion drawn from evidence, and the hits that explain every point of it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from safeurl.model.scan import Scan
from safeurl.state import Outcome


class Judgement(StrEnum):
    """SafeURL's conclusion about a URL. One fetch never proves that a page is safe."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    BENIGN = "benign"
    INCONCLUSIVE = "inconclusive"


class Category(StrEnum):
    """The kind of harm that a page does."""

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
    """The kind of evidence that a rule reads. Hits of two groups are independent of each other."""

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
    """One rule that matched, with the place in the evidence."""

    rule: str
    version: int
    group: Group
    #: The probability that this rule adds alone; negative for a rule that lowers the score.
    weight: float
    categories: tuple[Category, ...] = ()
    #: One sentence.
    reason: str
    #: JSON pointer (RFC 6901) into the stored evidence.
    pointer: str
    excerpt: Annotated[str, Meta(max_length=200)] = ""


class Verdict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The judgement, the score from 0 to 100, and the hits that explain them."""

    score: Annotated[int, Meta(ge=0, le=100)]
    judgement: Judgement
    categories: tuple[Category, ...] = ()
    #: Strongest first.
    hits: tuple[Hit, ...] = ()
    ruleset: str
    #: One sentence with the reason for the judgement.
    summary: str


def is_concluded(scan: Scan, judgement: str) -> bool:
    """Return whether the judgement has a meaning; for a cancelled scan it may have none.

    A cancelled scan keeps the judgement that its URL alone has given.
    """
    return scan.outcome is not Outcome.CANCELLED or judgement != Judgement.INCONCLUSIVE
