"""The URL standard's own suite (web-platform-tests)."""

import pytest
from ada_url import URL

from safeurl.errors import UrlRefusedError
from safeurl.url import Reason, parse, resolve
from tests.peers import differences
from tests.peers.suites import NO_BASE, UrlCase, url_cases

_CASES = url_cases()
_WHOLE = [case for case in _CASES if case.base is None]


def _name(case: UrlCase) -> str:
    return ascii(case.text)[:40]


def _without_user(href: str | None) -> str | None:
    if href is None:
        return None
    url = URL(href)
    url.username = url.password = ""
    return url.href


@pytest.mark.parametrize("case", _CASES, ids=_name)
def test_a_link_is_read_as_the_standard_says(case: UrlCase) -> None:
    """A valid link is read in the same way or refused by the policy, an invalid one is refused."""
    expected = _without_user(case.href)
    found: str | None
    try:
        found = resolve(case.base or NO_BASE, case.text).url
    except UrlRefusedError as error:
        found = expected if error.reason in differences.POLICY else None
    assert (found == expected) is (case.text not in differences.URLS)


@pytest.mark.parametrize("case", _WHOLE, ids=_name)
def test_a_pasted_url_is_read_alike_or_refused(case: UrlCase) -> None:
    """In typed text, control characters are refused too."""
    expected = _without_user(case.href)
    found: str | None
    try:
        found = parse(case.text).url
    except UrlRefusedError as error:
        is_own = error.reason in {*differences.POLICY, Reason.CONTROL_CHARACTER}
        found = expected if is_own else None
    assert (found == expected) is (case.text not in differences.URLS)
