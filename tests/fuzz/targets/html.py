"""Pages: the results of the parser and of its fallback must fit into evidence."""

import msgspec

from fetcher.content.charset import decode_text
from fetcher.content.sniff import find_charset, sniff_type
from fetcher.page.dom import read_dom
from fetcher.page.evidence import ParsedPage
from fetcher.page.noscript import without_noscript
from fetcher.page.patterns import read_with_patterns
from fetcher.page.prescan import find_exceeded_limit

_URL = "https://example.com/folder/page"


def fuzz_html(data: bytes) -> None:
    """Check that reading always ends, with equal results that fit the types of a worker."""
    sniff_type(data)
    text, _ = without_noscript(decode_text(data, find_charset(data, "")))
    if not find_exceeded_limit(text):
        _check(read_dom(text, _URL), read_dom(text, _URL))
    _check(read_with_patterns(text, _URL), read_with_patterns(text, _URL))


def _check(parsed: ParsedPage, again: ParsedPage) -> None:
    assert parsed == again
    assert msgspec.json.decode(msgspec.json.encode(parsed), type=ParsedPage) == parsed
