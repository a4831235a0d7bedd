"""Pages that fetchers read differently are read as in Chromium, from a name and from addresses."""

from collections.abc import Mapping

import pytest

from tests.browser import ours
from tests.browser.case import Case
from tests.browser.cases.known_differences import CASES
from tests.browser.record import compared, recorded
from tests.support.fetching import Run, request_line
from tests.support.lab import PUBLIC_V4, PUBLIC_V6, Scenario, run_in_lab

_HOSTS = ("paypal-login.test", PUBLIC_V4, f"[{PUBLIC_V6}]")
#: The requests are in the server's own record, not in the report.
_ASKED = frozenset({"requests", "cookies"})


@pytest.fixture(scope="module")
def runs() -> Mapping[tuple[str, str], Run]:
    """Fetch each case from each host, with the default address policy."""
    keys = [(host, case) for host in _HOSTS for case in CASES]
    lines = [request_line(f"http://{host}{case.start}", allow_cidrs=()) for host, case in keys]
    names = {_HOSTS[0]: [PUBLIC_V4, PUBLIC_V6]}
    done = run_in_lab(Scenario(names=names, site="known_differences"), *lines).runs
    return {(host, case.name): run for (host, case), run in zip(keys, done, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("host", _HOSTS, ids=["name", "v4", "v6"])
def test_each_case_agrees_with_chromium(
    runs: Mapping[tuple[str, str], Run], host: str, case: Case
) -> None:
    """The report equals Chromium's observation of the same bytes, whatever the host's name is."""
    fields = tuple(name for name in case.compare if name not in _ASKED)
    expected = {name: recorded("known_differences")[case.name][name] for name in fields}
    run = runs[host, case.name]
    assert compared(ours.observation(run, host), fields) == expected
    assert run.hops[0].address in {PUBLIC_V4, PUBLIC_V6}
