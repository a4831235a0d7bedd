"""Pasted texts: the URLs in them, and the kinds of these."""

from safeurl.errors import UrlRefusedError
from safeurl.pasted import find_urls
from safeurl.url import defang, parse

#: As much as `safeurl submit` reads of a line.
_MAX_CHARS = 16 * 1024


def fuzz_pasted(data: bytes) -> None:
    """Check that finding always ends, with equal results, and that printed URLs are found again."""
    text = data.decode("utf-8", "surrogateescape")[:_MAX_CHARS]
    found = find_urls(text)
    assert find_urls(text) == found
    assert len(set(found.urls)) == len(found.urls)
    assert bool(found.urls) == bool(text.strip()), found
    for each in found.urls:
        assert each.strip()
        try:
            parsed = parse(each)
        except UrlRefusedError as error:
            assert str(error)
            continue
        shown = defang(parsed)
        assert find_urls(shown).urls == (shown,)
