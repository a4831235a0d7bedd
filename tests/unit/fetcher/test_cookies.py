"""Cookies are sent only to the hosts that browsers would send them to."""

import pytest

from fetcher.http.cookies import CookieJar
from fetcher.subprocess_task import run_in_subprocess
from safeurl.url import ParsedUrl


def _at(host: str, scheme: str = "http") -> ParsedUrl:
    is_literal = host[0].isdecimal()
    return ParsedUrl(f"{scheme}://{host}/", scheme, host, 80, is_literal)


@pytest.mark.parametrize(
    ("set_cookie", "host", "scheme", "sent"),
    [
        ("a=1", "www.site.test", "http", "a=1"),
        ("a=1", "site.test", "http", ""),
        ("a=1", "sub.www.site.test", "http", ""),
        ("a=1; Domain=site.test", "other.site.test", "http", "a=1"),
        ("a=1; domain=.SITE.test", "site.test", "http", "a=1"),
        ("a=1; Domain=site.test", "evilsite.test", "http", ""),
        ("a=1; Domain=other.test", "other.test", "http", ""),
        ("a=1; Domain=test", "other.test", "http", ""),
        ("a=1; Secure", "www.site.test", "http", ""),
        ("a=1; Secure", "www.site.test", "https", ""),
        ("a=1; SameSite=none", "www.site.test", "https", ""),
        ("a=1; Partitioned", "www.site.test", "https", ""),
        ("__Secure-a=1", "www.site.test", "https", ""),
        ("a=1; Domain=..site.test", "www.site.test", "http", ""),
        ("a=1; Path=/deep", "www.site.test", "http", ""),
        ("a=1; Expires=Fri, 01-Jan-99 00:00:00 GMT", "www.site.test", "http", ""),
        ("a=1; Expires=Fri, 01 Jan 9999 00:00:00 GMT", "www.site.test", "http", "a=1"),
        ("a=1; Max-Age=", "www.site.test", "http", "a=1"),
        ("a=1; Max-Age=0", "www.site.test", "http", ""),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "www.site.test", "http", ""),
        ("a=1\r\nX-Evil: 1", "www.site.test", "http", "a=1"),
        ("a=1\rb; Domain=site.test", "other.site.test", "http", ""),
        ("a=1\0b", "www.site.test", "http", "a=1"),
        ("a=1\x1fb", "www.site.test", "http", ""),
        ("a=1; Domain=site.test; Domain=", "other.site.test", "http", ""),
        ("a=1; Domain=; Domain=SITE.test", "other.site.test", "http", "a=1"),
        ("a=\u00fc", "www.site.test", "http", "a=\u00fc"),
        ("=1", "www.site.test", "http", "1"),
        ("nothing", "www.site.test", "http", "nothing"),
        ("a=" + "x" * 5000, "www.site.test", "http", ""),
    ],
)
def test_where_a_cookie_goes(set_cookie: str, host: str, scheme: str, sent: str) -> None:
    """A cookie set by www.site.test is sent to the host only if browsers would send it."""
    jar = CookieJar()
    jar.store(_at("www.site.test"), set_cookie)
    assert jar.header(_at(host, scheme)) == sent


def test_later_values_replace_earlier_ones() -> None:
    """A cookie replaces the one with the same name and domain, and a past date deletes it."""
    jar = CookieJar()
    for value in ("a=1", "b=2", "a=3"):
        jar.store(_at("site.test"), value)
    assert jar.header(_at("site.test")) == "b=2; a=3"
    jar.store(_at("site.test"), "b=; Max-Age=-1")
    assert jar.header(_at("site.test")) == "a=3"


def test_a_secure_cookie_is_set_and_replaced_by_secure_pages_only() -> None:
    """A page over plain HTTP can neither replace nor hide a secure cookie."""
    jar = CookieJar()
    secure = _at("site.test", "https")
    jar.store(secure, "__Host-a=1; Secure; Path=/")
    jar.store(secure, "__Host-b=1; Secure")
    jar.store(secure, "c=1; Secure")
    jar.store(_at("site.test"), "c=2")
    jar.store(_at("site.test"), "c=3; Domain=site.test")
    assert jar.header(secure) == "__Host-a=1; c=1"
    assert not jar.header(_at("site.test"))


def test_the_jar_is_bounded() -> None:
    """The number of cookies of one site is limited."""
    jar = CookieJar()
    for number in range(1000):
        jar.store(_at(f"h{number % 3}.site.test"), f"c{number}=1; Domain=site.test")
    assert len(jar.header(_at("site.test")).split(";")) <= 180


def test_the_newest_cookies_are_kept() -> None:
    """A site that sets too many cookies still receives the last one."""
    jar = CookieJar()
    jar.store(_at("other.test"), "other=1")
    for number in range(181):
        jar.store(_at("site.test"), f"c{number}=1")
    kept = jar.header(_at("site.test")).split("; ")
    assert (len(kept), kept[0], kept[-1]) == (150, "c31=1", "c180=1")
    assert jar.header(_at("other.test")) == "other=1"


def test_a_name_with_a_trailing_dot_sets_no_cookie_for_a_top_level_domain() -> None:
    """`test.` is a top-level domain like `test`; cookies of the site itself are accepted."""
    jar = CookieJar()
    jar.store(_at("www.evil.test."), "a=1; Domain=test.")
    jar.store(_at("www.evil.test."), "b=1; Domain=evil.test.")
    assert jar.header(_at("bank.test.")) == ""
    assert jar.header(_at("evil.test.")) == "b=1"


def test_many_cookies_of_many_sites_are_processed_in_time() -> None:
    """A chain over many sites with many cookies each is processed in time."""

    def fill() -> bytes:
        jar = CookieJar()
        for site in range(20):
            for number in range(170):
                jar.store(_at(f"a.s{site}.test", "https"), f"c{number}=1; Secure")
        for number in range(36_000):
            jar.store(_at("a.last.test"), f"c{number}=1")
        return jar.header(_at("a.last.test")).encode()

    assert run_in_subprocess(fill, 20).endswith(b"c35999=1")
