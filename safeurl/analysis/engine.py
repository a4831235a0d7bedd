"""Runs rules on a context and combines their hits; the order of rules and hits has no effect."""

from collections.abc import Iterable, Mapping
from math import prod
from types import MappingProxyType

from safeurl.analysis.context import Context
from safeurl.analysis.rule import Finding, Rule, Ruleset, Weight
from safeurl.analysis.text import excerpt
from safeurl.model.verdict import Category, Group, Hit

#: The most that all signs below STRONG of a weak group add together, because many weak signs do not
#: prove anything.
CAPS: Mapping[Group, float] = MappingProxyType(
    {Group.URL: 0.30, Group.TLS: 0.10, Group.CHAIN: 0.20},
)
#: The most that all faint signs (the form of a page) add together, in every group.
FAINT_CAP = 0.10
#: From this probability on, a group supports a conclusion alone.
SUPPORT = 0.20
#: A URL gets a lower score than this unless two groups support it or one sign is decisive.
UNCONFIRMED_BELOW = 70


def run(ruleset: Ruleset, context: Context) -> tuple[tuple[Hit, ...], tuple[str, ...]]:
    """Return the hits, strongest first, and the reasons why the real page was not seen."""
    fired = [(rule, found) for rule in ruleset.rules if (found := _first(rule, context))]
    hits = sorted((_hit(rule, found) for rule, found in fired), key=_order)
    hidden = sorted((rule.id, found.reason) for rule, found in fired if rule.hides_page)
    return tuple(hits), tuple(reason for _, reason in hidden)


def score(hits: Iterable[Hit]) -> int:
    """Return the score: groups combined as independent evidence, reduced by context (0–100)."""
    listed = sorted(hits, key=_order)
    by_group = {g: group_probability(g, [h for h in listed if h.group is g]) for g in Group}
    points = 100 * (1 - prod(1 - by_group[g] for g in Group))
    if not is_confirmed(listed):
        points = min(points, UNCONFIRMED_BELOW - 1)
    points += 100 * sum(h.weight for h in listed if h.weight < 0)
    # Rounded twice, so that the last bit of a float never changes the score.
    return max(0, min(100, round(round(points, 6))))


def group_probability(group: Group, hits: Iterable[Hit]) -> float:
    """Return the probability from one group's hits together, within the caps."""
    weights = [h.weight for h in hits if h.weight > 0]
    faint = min(FAINT_CAP, _either(w for w in weights if w <= Weight.FAINT))
    signs = _either([faint, *(w for w in weights if Weight.FAINT < w < Weight.STRONG)])
    strong = (w for w in weights if w >= Weight.STRONG)
    return _either([min(CAPS.get(group, 1.0), signs), *strong])


def is_confirmed(hits: Iterable[Hit]) -> bool:
    """Return whether one decisive sign or two independent groups support the score."""
    listed = list(hits)
    if any(h.weight >= Weight.DECISIVE for h in listed):
        return True
    groups = (group_probability(g, [h for h in listed if h.group is g]) for g in Group)
    return sum(round(p, 6) >= SUPPORT for p in groups) > 1


def categories(hits: Iterable[Hit]) -> tuple[Category, ...]:
    """Return the kinds of harm that the hits support, the most probable first."""
    listed = sorted(hits, key=_order)
    votes = {c: _either(h.weight for h in listed if c in h.categories) for c in Category}
    likely = [c for c in Category if round(votes[c], 6) >= SUPPORT]
    return tuple(sorted(likely, key=lambda c: (-round(votes[c], 6), c)))


def _first(rule: Rule, context: Context) -> Finding | None:
    return next(iter(rule.check(context)), None)


def _hit(rule: Rule, found: Finding) -> Hit:
    return Hit(
        rule=rule.id,
        version=rule.version,
        group=rule.group,
        weight=float(rule.weight),
        categories=rule.categories,
        reason=found.reason,
        pointer=found.pointer,
        excerpt=excerpt(found.excerpt),
    )


def _order(hit: Hit) -> tuple[float, str, str, str]:
    return (-hit.weight, hit.rule, hit.pointer, hit.reason)


def _either(probabilities: Iterable[float]) -> float:
    return 1 - prod(1 - min(1.0, max(0.0, p)) for p in probabilities)
