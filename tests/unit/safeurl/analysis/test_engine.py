"""The score from hits: caps, the need for confirmation, and the effect of context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.analysis.engine import CAPS, categories, group_probability, is_confirmed, score
from safeurl.analysis.rule import Weight
from safeurl.model.verdict import Category, Group, Hit

WEIGHTS = [float(w) for w in Weight]
HITS = st.builds(
    Hit,
    rule=st.sampled_from(["a", "b", "c", "d"]),
    version=st.just(1),
    group=st.sampled_from(Group),
    weight=st.sampled_from(WEIGHTS),
    categories=st.lists(st.sampled_from(Category), max_size=3).map(tuple),
    reason=st.just("Because."),
    pointer=st.sampled_from(["", "/page"]),
)
LISTS = st.lists(HITS, max_size=12)


def _hit(group: Group, weight: float, rule: str = "r") -> Hit:
    return Hit(rule=rule, version=1, group=group, weight=weight, reason="Because.", pointer="")


@given(LISTS)
def test_the_score_has_bounds(hits: list[Hit]) -> None:
    """Nothing scores below 0 or above 100."""
    assert 0 <= score(hits) <= 100


@given(LISTS, HITS)
def test_another_sign_never_lowers_the_score(hits: list[Hit], more: Hit) -> None:
    """And context never raises it."""
    before, after = score(hits), score([*hits, more])
    assert after >= before if more.weight >= 0 else after <= before


@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_of_hits_does_not_matter(hits: list[Hit], chance: object) -> None:
    """Rules may run in any order."""
    mixed = list(hits)
    chance.shuffle(mixed)  # type: ignore[attr-defined]  # - hypothesis' Random has no public type
    assert score(mixed) == score(hits)
    assert categories(mixed) == categories(hits)


@given(LISTS)
def test_no_sign_means_no_score(hits: list[Hit]) -> None:
    """Every point leads to a hit."""
    if not any(hit.weight > 0 for hit in hits):
        assert score(hits) == 0


@given(LISTS)
def test_seventy_needs_two_groups_or_one_decisive_sign(hits: list[Hit]) -> None:
    """One kind of evidence, however much of it, is not enough."""
    if score(hits) >= 70:
        groups = {hit.group for hit in hits if hit.weight > 0}
        assert len(groups) > 1 or any(hit.weight >= Weight.DECISIVE for hit in hits)


@pytest.mark.parametrize(("group", "cap"), CAPS.items())
def test_a_weak_group_is_capped(group: Group, cap: float) -> None:
    """Many weak signs stay under the group's cap; a strong one counts alone."""
    pile = [_hit(group, Weight.FIRM, f"r{i}") for i in range(9)]
    assert score(pile) == round(100 * cap)
    assert group_probability(group, [_hit(group, Weight.STRONG)]) == pytest.approx(Weight.STRONG)


def test_faint_signs_are_capped_in_every_group() -> None:
    """The shape of a page adds at most ten points."""
    assert score([_hit(Group.HTML, Weight.FAINT, f"r{i}") for i in range(50)]) == 10


def test_groups_combine_as_independent_evidence() -> None:
    """1 - (1 - 0.65)(1 - 0.35) is 0.7725."""
    hits = [_hit(Group.FORM, Weight.HEAVY), _hit(Group.HTML, Weight.FIRM)]
    assert score(hits) == 77


def test_one_group_stays_below_seventy() -> None:
    """Two heavy signs of one kind are still one kind of evidence."""
    hits = [_hit(Group.FORM, Weight.HEAVY, rule) for rule in "ab"]
    assert score(hits) == 69
    assert not is_confirmed(hits)


def test_a_faint_second_group_confirms_nothing() -> None:
    """Otherwise any young certificate would turn suspicion into certainty."""
    hits = [_hit(Group.FORM, Weight.HEAVY, r) for r in "ab"] + [_hit(Group.TLS, Weight.WEAK)]
    assert score(hits) == 69


def test_a_decisive_sign_stands_alone() -> None:
    """It needs no second group."""
    assert score([_hit(Group.LURE, Weight.DECISIVE)]) == 90


def test_context_subtracts_last() -> None:
    """Context lowers the score after all caps."""
    hits = [_hit(Group.FORM, Weight.HEAVY, r) for r in "ab"]
    assert score([*hits, _hit(Group.CONTEXT, Weight.STRONG_CREDIT)]) == 29


def test_the_likeliest_category_comes_first() -> None:
    """Votes add up over hits; a weak vote alone names nothing."""
    strong = Hit(
        rule="a",
        version=1,
        group=Group.FORM,
        weight=Weight.STRONG,
        categories=(Category.SCAM,),
        reason="Because.",
        pointer="",
    )
    votes = [
        strong,
        Hit(
            rule="b",
            version=1,
            group=Group.HTML,
            weight=Weight.FIRM,
            categories=(Category.PHISHING,),
            reason="Because.",
            pointer="",
        ),
        Hit(
            rule="c",
            version=1,
            group=Group.FILE,
            weight=Weight.WEAK,
            categories=(Category.MALWARE,),
            reason="Because.",
            pointer="",
        ),
    ]
    assert categories(votes) == (Category.SCAM, Category.PHISHING)
