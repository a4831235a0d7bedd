"""Pages: what the parser and its fallback make of bytes must fit into evidence."""

import msgspec

from fetcher.content.charset import decode_text
from fetcher.content.sniff import find_charset, sniff_type
from fetcher.page.dom import read_dom
from fetcher.page.fallback import read_roughly
from fetcher.page.noscript import without_noscript
from fetcher.page.prescan import find_obstacle
from fetcher.page.reading import Reading

_URL = "https://example.com/folder/page"


def fuzz_html(data: bytes) -> None:
    """Hold that reading is total, gives the same twice, and fits the types that a worker reads."""
    sniff_type(data)
    text, _ = without_noscript(decode_text(data, find_charset(data, "")))
    if not find_obstacle(text):
        _check(read_dom(text, _URL), read_dom(text, _URL))
    _check(read_roughly(text, _URL), read_roughly(text, _URL))


def _check(reading: Reading, again: Reading) -> None:
    assert reading == again
    assert msgspec.json.decode(msgspec.json.encode(reading), type=Reading) == reading
