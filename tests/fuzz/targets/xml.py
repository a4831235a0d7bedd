"""XML documents, which browsers show as pages."""

import msgspec

from fetcher.content.charset import decode_text
from fetcher.content.sniff import find_charset
from fetcher.page.evidence import ParsedPage
from fetcher.page.xml import read_xml

_URL = "https://example.com/folder/page"


def fuzz_xml(data: bytes) -> None:
    """Check that reading always ends, with equal results that fit the types of a worker."""
    text = decode_text(data, find_charset(data, "application/xhtml+xml"))
    parsed = read_xml(text, _URL)
    assert read_xml(text, _URL) == parsed
    assert msgspec.json.decode(msgspec.json.encode(parsed), type=ParsedPage) == parsed
