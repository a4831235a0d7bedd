"""The fetcher and Chromium read the same bytes alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium, ours
from tests.browser.case import Case
from tests.browser.cases import kinds
from tests.browser.record import compared, recorded
from tests.support.browser import Browser

_CASES = [(kind, case) for kind, cases in kinds().items() for case in cases]
_each_case = pytest.mark.parametrize(
    ("kind", "case"), _CASES, ids=[f"{kind}-{case.name}" for kind, case in _CASES]
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium that all cases share."""
    opened = Browser(Path(tmp_path_factory.mktemp("chromium")))
    yield opened
    opened.close()


@_each_case
def test_chromium_reads_the_bytes_as_recorded(kind: str, case: Case, browser: Browser) -> None:
    """The recordings are Chromium's results; `python -m tests.browser.record` makes them again."""
    assert compared(chromium.observe(case, browser), case.compare) == recorded(kind)[case.name]


@_each_case
def test_the_fetcher_reads_the_bytes_as_chromium_does(kind: str, case: Case) -> None:
    """Each compared field is equal, or the case explains why it is not."""
    seen = compared(ours.observe(case), case.compare)
    if case.explained:
        assert seen != recorded(kind)[case.name], "It agrees by now: take the explanation away."
    else:
        assert seen == recorded(kind)[case.name]


def test_the_recordings_hold_these_cases_and_no_others() -> None:
    """A case that was renamed or removed leaves no recording behind."""
    assert {kind: set(recorded(kind)) for kind in kinds()} == {
        kind: {case.name for case in cases} for kind, cases in kinds().items()
    }
