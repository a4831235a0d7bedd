"""Headers that a browser reads by rules of their own: cookies, media types, character sets."""

from fetcher.content.charset import decode_text
from fetcher.content.media_type import extract_media_type, reportable_type
from fetcher.content.sniff import find_charset, sniff_type
from fetcher.http.cookies import CookieJar
from safeurl.url import ParsedUrl, parse

_SOURCES = tuple(
    map(parse, ("https://www.example.com/a/b?q", "http://example.com/", "http://1.1.1.1/a"))
)
_MAX_COOKIE_BYTES = 4096 + 1


def fuzz_cookie(data: bytes) -> None:
    """Check that cookies, one per line, add no line to a request and stay with their hosts."""
    jar = CookieJar()
    for number, line in enumerate(data.decode("latin-1").split("\n")):
        jar.store(_SOURCES[number % len(_SOURCES)], line)
    for source in _SOURCES:
        _check(jar, source)
    assert not jar.header(parse("https://example.org/"))


def _check(jar: CookieJar, source: ParsedUrl) -> None:
    header = jar.header(source)
    assert not set(header) & set("\0\r\n\t\x7f")
    assert all(0 < len(each) <= _MAX_COOKIE_BYTES for each in header.split("; ") if header)


def fuzz_media_type(data: bytes) -> None:
    """Check that type and character set are found, with equal results, and the text is valid."""
    head, _, body = data.partition(b"\n\n")
    headers = head.decode("latin-1").split("\n")
    found = extract_media_type(headers)
    assert extract_media_type([found.header_value]).essence == found.essence
    assert reportable_type(found.essence) in {"", found.essence}
    sniffed = sniff_type(body)
    assert sniffed == reportable_type(sniffed)
    text = decode_text(body, find_charset(body, found.header_value))
    assert text.encode().decode() == text
