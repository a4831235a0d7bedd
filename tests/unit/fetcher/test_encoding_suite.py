"""html5lib's test suite for the character set that a document declares."""

import pytest

from fetcher.content.sniff import find_charset
from tests.peers import differences
from tests.peers.suites import EncodingCase, encoding_cases


@pytest.mark.parametrize("case", encoding_cases(), ids=lambda case: case.name)
def test_the_declared_character_set_is_the_suites(case: EncodingCase) -> None:
    """The result is the suite's, or Chromium's if the suite is older than browsers' behaviour."""
    is_equal = find_charset(case.document, "text/html") == case.charset
    assert is_equal is (case.name not in differences.ENCODINGS)
