"""The definition of a rule, and the weights of the classes of signs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from safeurl.analysis.context import Context
from safeurl.model.verdict import Category, Group


class Weight(float, Enum):
    """Classes of weights as probabilities, in the order of the measured likelihood ratios of signs.

    A class is a range and not a fitted value: HEAVY about 70 and more, STRONG 40, FIRM 10–30,
    MODERATE 5–10, WEAK and FAINT below. Two classes lower the score, and REMARK does not change it.
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
    """The place in the evidence at which a rule found its sign, and the reason why it matters.

    The reason is our own text. It never quotes the hostile page, except for the target of a
    redirect, defanged and in plain ASCII. The excerpt quotes the page.
    """

    #: JSON pointer into the encoded evidence, which omits defaults; "" is the whole document.
    pointer: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One sign to search for.

    A rule counts once, with its first finding, even if it finds its sign several times. A page
    cannot make a weak sign stronger by repeating it.
    """

    id: str
    version: int = 1
    group: Group
    weight: Weight
    categories: tuple[Category, ...] = ()
    check: Callable[[Context], Iterable[Finding]]
    #: True if this sign means that the real page was not seen: a low score is then inconclusive.
    hides_page: bool = False


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules with a common version, which changes whenever a verdict may change."""

    version: str
    rules: tuple[Rule, ...]
