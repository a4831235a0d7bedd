"""Under a name and by addresses: the pages on which fetchers disagree read as in Chromium."""

from collections.abc import Mapping

import pytest

from tests.browser import ours
from tests.browser.case import Case
from tests.browser.cases.field import CASES
from tests.browser.record import compared, recorded
from tests.support.fetching import Run, request_line
from tests.support.lab import PUBLIC_V4, PUBLIC_V6, Scenario, run_in_lab

_HOSTS = ("paypal-login.test", PUBLIC_V4, f"[{PUBLIC_V6}]")
#: What the server was asked stands in its own record, not in the report.
_ASKED = frozenset({"requests", "cookies"})


@pytest.fixture(scope="module")
def runs() -> Mapping[tuple[str, str], Run]:
    """Fetch each case from each host, under the default address policy."""
    keys = [(host, case) for host in _HOSTS for case in CASES]
    lines = [request_line(f"http://{host}{case.start}", allow_cidrs=()) for host, case in keys]
    names = {_HOSTS[0]: [PUBLIC_V4, PUBLIC_V6]}
    done = run_in_lab(Scenario(names=names, site="field"), *lines).runs
    return {(host, case.name): run for (host, case), run in zip(keys, done, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("host", _HOSTS, ids=["name", "v4", "v6"])
def test_each_case_gives_its_evidence(
    runs: Mapping[tuple[str, str], Run], host: str, case: Case
) -> None:
    """The report says what Chromium showed on the same bytes, whatever the host is called."""
    fields = tuple(name for name in case.compare if name not in _ASKED)
    expected = {name: recorded("field")[case.name][name] for name in fields}
    run = runs[host, case.name]
    assert compared(ours.seen(run, host), fields) == expected
    assert run.hops[0].address in {PUBLIC_V4, PUBLIC_V6}
