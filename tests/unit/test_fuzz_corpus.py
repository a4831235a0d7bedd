"""The fuzz targets hold for every input that was kept, without the fuzzer."""

import pytest

from tests.fuzz.corpus import read_corpus
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, load_target


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_corpus(name: str) -> None:
    """Seeds, inputs that reach new code, and what was once a finding."""
    target = load_target(name)
    corpus = read_corpus(name)
    assert corpus, "bash tests/fuzz/run.sh keeps one"
    for data in (*seeds(name), *corpus.values()):
        target(data)
