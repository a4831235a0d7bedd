"""What a rule is, and how much each class of sign weighs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from safeurl.analysis.context import Context
from safeurl.model.verdict import Category, Group


class Weight(float, Enum):
    """Weight classes as probabilities, ordered by the likelihood ratios measured for signs.

    A class stands for a band, not for a fitted figure: HEAVY about 70 and more, STRONG 40,
    FIRM 10–30, MODERATE 5–10, WEAK and FAINT below. Two classes subtract, one only remarks.
    """

    DECISIVE = 0.90
    HEAVY = 0.65
    STRONG = 0.50
    FIRM = 0.35
    MODERATE = 0.20
    WEAK = 0.10
    FAINT = 0.03
    REMARK = 0.0
    CREDIT = -0.15
    STRONG_CREDIT = -0.40


@dataclass(frozen=True, slots=True)
class Finding:
    """Where in the evidence a rule saw its sign, and why that matters.

    The reason is ours and never quotes the page, which is hostile, but for where it leads,
    defanged and in plain ASCII; the excerpt does.
    """

    #: JSON pointer into the encoded evidence, where defaults are left out; "" is the whole.
    pointer: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One sign to look for.

    However often a rule finds its sign it counts once, with its first finding: a page must
    not talk a weak sign up by repeating it.
    """

    id: str
    version: int = 1
    group: Group
    weight: Weight
    categories: tuple[Category, ...] = ()
    check: Callable[[Context], Iterable[Finding]]
    #: Nothing below the judgement `suspicious` can be concluded where this rule fires.
    hides_page: bool = False


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules under one version; the version changes whenever any verdict could."""

    version: str
    rules: tuple[Rule, ...]
