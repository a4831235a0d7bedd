"""The suite of html5lib for the search of a document's character set."""

import pytest

from fetcher.content.sniff import find_charset
from tests.peers import differences
from tests.peers.suites import EncodingCase, encoding_cases


@pytest.mark.parametrize("case", encoding_cases(), ids=lambda case: case.name)
def test_a_document_is_read_in_the_set_that_the_suite_says(case: EncodingCase) -> None:
    """Or in Chromium's, where the suite is older than what browsers do."""
    is_equal = find_charset(case.document, "text/html") == case.charset
    assert is_equal is (case.name not in differences.ENCODINGS)
