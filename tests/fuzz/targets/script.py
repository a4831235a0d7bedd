"""Scripts: reading them without running them is limited, with equal results."""

from fetcher.content.refresh import parse_refresh
from fetcher.page.noscript import without_noscript
from fetcher.page.script.reader import ScriptReader

_URL = "https://example.com/folder/page?q#f"
_MAX_MOVES = 16


def fuzz_script(data: bytes) -> None:
    """Check that reading always ends, with equal results, for refreshes and `noscript` too."""
    text = data.decode("utf-8", "surrogateescape")
    first, second = ScriptReader(_URL), ScriptReader(_URL)
    first.read(text)
    second.read(text)
    assert first.navigations == second.navigations
    assert (first.written, first.inserted) == (second.written, second.inserted)
    assert len(first.navigations) <= _MAX_MOVES
    refresh = parse_refresh(text)
    assert refresh is None or 0 <= refresh.delay_s <= 1e9
    left, _ = without_noscript(text)
    assert without_noscript(left)[0] == left
