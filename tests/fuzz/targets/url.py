"""URLs as users paste them and as pages name them."""

from ipaddress import ip_address
from urllib.parse import unquote

from ada_url import URL

from safeurl.address import judge_address
from safeurl.errors import UrlRefusedError
from safeurl.url import MAX_BYTES, ParsedUrl, defang, parse, resolve, username

_BASE = "https://example.com/folder/page?query"


def fuzz_url(data: bytes) -> None:
    """Check that parsing always ends, is stable, and that every allowed address is public."""
    text = data.decode("utf-8", "surrogateescape")
    username(text)
    if (submitted := _parsed(text)) is not None:
        _check(submitted)
        _check_defanged(submitted)
    if (led_to := _resolved(text)) is not None:
        _check(led_to)
        assert led_to.host == URL(led_to.url).hostname.strip("[]")


def _check(parsed: ParsedUrl) -> None:
    """Check the properties of every URL that may be opened."""
    assert _resolved(parsed.url) == parsed
    assert parsed.scheme in {"http", "https"}
    assert parsed.host.isascii()
    assert not any(char.isspace() for char in parsed.host)
    if parsed.is_literal:
        assert judge_address(str(ip_address(parsed.host))).allowed


def _check_defanged(parsed: ParsedUrl) -> None:
    """Check that the printed form leads to the same page, for brackets in any spelling."""
    again = _parsed(defang(parsed))
    if again is not None or len(defang(parsed)) <= MAX_BYTES:
        assert again is not None
        assert (again.scheme, again.host, again.port) == (parsed.scheme, parsed.host, parsed.port)
        assert unquote(again.url) == unquote(parsed.url)


def _parsed(text: str) -> ParsedUrl | None:
    try:
        return parse(text)
    except UrlRefusedError as error:
        assert str(error)
        return None


def _resolved(text: str) -> ParsedUrl | None:
    try:
        return resolve(_BASE, text)
    except UrlRefusedError as error:
        assert str(error)
        return None
