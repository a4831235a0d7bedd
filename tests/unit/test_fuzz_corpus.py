"""The fuzz targets pass for every stored input, without the fuzzer."""

import pytest

from tests.fuzz.corpus import read_corpus
from tests.fuzz.plan import UnknownTargetError, plan
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import GROUPS, TARGETS, load_target


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_corpus(name: str) -> None:
    """The stored inputs are seeds, inputs that reach new code, and earlier findings."""
    target = load_target(name)
    corpus = read_corpus(name)
    assert corpus, "bash tests/fuzz/run.sh keeps one"
    for data in (*seeds(name), *corpus.values()):
        target(data)


def test_a_group_shares_its_time() -> None:
    """Five minutes are five minutes, however many targets there are; alone each has its own."""
    assert plan(300, ["reading"]) == (300, GROUPS["reading"])
    assert set(GROUPS["reading"]) < set(TARGETS)
    assert plan(60, ["url", "xml"]) == (120, ("url", "xml"))
    assert plan(60, []) == (60 * len(TARGETS), tuple(TARGETS))
    for names in (["absent"], ["reading", "url"]):
        with pytest.raises(UnknownTargetError):
            plan(60, names)
