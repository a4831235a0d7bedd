"""Every rule matches its sign and does not match similar harmless evidence."""

import pytest

from safeurl.analysis import CORE, judge
from safeurl.url import parse
from tests.support import chain_cases, page_cases
from tests.support.rule_cases import SEEN_AT, Case

FIRES = chain_cases.FIRES + page_cases.FIRES
SILENT = chain_cases.SILENT + page_cases.SILENT


def _name(case: Case) -> str:
    return f"{case.rule}: {case.what}"


def _fired(case: Case) -> set[str]:
    """Judge the case like a scan: `parse` makes the opened URL from the submitted one."""
    opened = parse(case.url).url
    verdict = judge(case.evidence, url=opened, seen_at=SEEN_AT, submitted=case.url)
    return {hit.rule for hit in verdict.hits}


@pytest.mark.parametrize("case", FIRES, ids=_name)
def test_a_rule_fires_on_its_sign(case: Case) -> None:
    """The hit is there, perhaps with other hits."""
    assert case.rule in _fired(case)


@pytest.mark.parametrize("case", SILENT, ids=_name)
def test_a_rule_keeps_silent_on_a_near_miss(case: Case) -> None:
    """Harmless pages are similar to every sign."""
    assert case.rule not in _fired(case)


@pytest.mark.parametrize("cases", [FIRES, SILENT], ids=["fires", "silent"])
def test_every_rule_has_cases(cases: tuple[Case, ...]) -> None:
    """Every rule has a case of each kind, and no case names an unknown rule."""
    assert {case.rule for case in cases} == {rule.id for rule in CORE.rules}


def test_rule_ids_are_unique_and_begin_with_their_group() -> None:
    """The rule of a hit can be looked up, and its id names the kind of evidence."""
    ids = [rule.id for rule in CORE.rules]
    assert len(set(ids)) == len(ids)
    assert all(rule.id.startswith(f"{rule.group}.") for rule in CORE.rules)


def test_only_context_takes_points_off() -> None:
    """Negative weights are in the context group, and context never adds to the score."""
    for rule in CORE.rules:
        assert (rule.weight <= 0) == (rule.group == "context")
