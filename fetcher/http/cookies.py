"""Cookies that live as long as the fetch, kept and sent back as browsers do (RFC 6265bis).

Cookies are text here only in name: each character stands for one byte of the header, so that
what a server set comes back to it unchanged, in whatever character set it was.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from fetcher.http.cookie_date import parse_cookie_date
from safeurl.url import ParsedUrl

#: Of one site; of those that are one too many the oldest go, as in Chromium.
_MAX_COOKIES = 180
_KEPT_COOKIES = 150
#: Of name and value together, and of an attribute's value (RFC 6265bis, 5.6).
_MAX_COOKIE_BYTES = 4096
_MAX_ATTRIBUTE_BYTES = 1024

_SPACE = " \t"
#: Where the line ends, whatever comes after it (as in Chromium).
_END = re.compile("[\0\r\n]")
#: A line with one of these is no cookie; a tab may stand around its parts.
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: An age that is no whole number does not count.
_AGE = re.compile(r"([+-]?)0*([0-9]+)", re.ASCII)
#: More digits than these are for ever.
_MAX_AGE_DIGITS = 12


@dataclass(frozen=True, slots=True)
class _Cookie:
    name: str
    value: str
    domain: str
    #: Whether only the very host that set it gets it back.
    is_host_only: bool
    path: str
    is_secure: bool
    #: As `time.time` counts; infinite for a session's.
    expires: float

    @property
    def key(self) -> "_Key":
        return self.domain, self.is_host_only, self.path, self.name

    def goes_to(self, target: ParsedUrl) -> bool:
        if self.is_secure and target.scheme != "https":
            return False
        is_below = not self.is_host_only and target.host.endswith(f".{self.domain}")
        return (target.host == self.domain or is_below) and _covers(self.path, _path(target))


_Key: TypeAlias = tuple[str, bool, str, str]


@dataclass(slots=True)
class CookieJar:
    """Keeps cookies by site, and of a site by domain, path and name, the oldest first."""

    #: No cookie concerns another site's, however many sites a chain leads over.
    _sites: dict[str, dict[_Key, _Cookie]] = field(default_factory=dict)

    def header(self, target: ParsedUrl) -> str:
        """Return the Cookie header for a request, empty when there is none to send."""
        now = time.time()
        kept = self._sites.get(_site(target.host), {})
        fitting = [x for x in kept.values() if x.expires > now and x.goes_to(target)]
        # Longer paths first; sorting keeps the order of age.
        fitting.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{x.name}={x.value}" if x.name else x.value for x in fitting)

    def store(self, source: ParsedUrl, set_cookie: str) -> None:
        """Take in one Set-Cookie header."""
        cookie = _read(source, set_cookie)
        kept = self._sites.setdefault(_site(source.host), {})
        if cookie is None or _is_shadowing(source, cookie, kept.values()):
            return
        known = kept.get(cookie.key)
        if known is None or known.value != cookie.value or cookie.expires <= time.time():
            # Another value makes another cookie, as old as its value.
            kept.pop(cookie.key, None)
        if cookie.expires > time.time():
            kept[cookie.key] = cookie
            if len(kept) > _MAX_COOKIES:
                for key in [*kept][:-_KEPT_COOKIES]:
                    del kept[key]


def _is_shadowing(source: ParsedUrl, cookie: _Cookie, kept: Iterable[_Cookie]) -> bool:
    """Tell whether an insecure page would replace or hide a secure cookie."""
    return source.scheme != "https" and any(
        other.is_secure
        and other.name == cookie.name
        and (_is_within(other.domain, cookie.domain) or _is_within(cookie.domain, other.domain))
        and _covers(other.path, cookie.path)
        for other in kept
    )


def _read(source: ParsedUrl, set_cookie: str) -> _Cookie | None:
    """Return the cookie that a page may set; None where browsers drop it."""
    set_cookie = _END.split(set_cookie, maxsplit=1)[0]
    if _CONTROL.search(set_cookie):
        return None
    pair, *attributes = set_cookie.split(";")
    before, equals, after = pair.partition("=")
    name, value = (before.strip(_SPACE), after.strip(_SPACE)) if equals else ("", before)
    value = value.strip(_SPACE)
    if not _may_be_sent(name, value):
        return None
    given = _attributes(attributes)
    is_secure = "secure" in given
    if (source.scheme != "https") if is_secure else _needs_secure(given):
        return None
    domain = given.get("domain", "").removeprefix(".").lower()
    if domain and not _may_set(source, domain):
        return None
    path = given.get("path", "")
    if not _keeps_prefix(name or value, given, is_named=bool(name)):
        return None
    return _Cookie(
        name=name,
        value=value,
        domain=domain or source.host,
        is_host_only=not domain or source.is_literal,
        path=path if path.startswith("/") else _default_path(source),
        is_secure=is_secure,
        expires=_expiry(given),
    )


def _may_be_sent(name: str, value: str) -> bool:
    """Tell whether the pair is one; `=` in a value without name would make a name of it."""
    is_ambiguous = not name and "=" in value
    is_short = 0 < len(name) + len(value) <= _MAX_COOKIE_BYTES
    return is_short and not is_ambiguous and "\t" not in name + value


def _attributes(parts: list[str]) -> dict[str, str]:
    """Return the attributes by lower-case name; the last of a name counts."""
    pairs = (part.partition("=") for part in parts)
    found = ((name.strip(_SPACE).lower(), value.strip(_SPACE)) for name, _, value in pairs)
    return {name: value for name, value in found if len(value) <= _MAX_ATTRIBUTE_BYTES}


def _may_set(source: ParsedUrl, domain: str) -> bool:
    # One label is a top-level domain. Longer public suffixes are let through: the jar dies with
    # the fetch, so what leaks is what the chain's own hosts could pass on in their URLs.
    if source.is_literal:
        return source.host == domain
    return source.host == domain or (
        "." in domain.removesuffix(".") and source.host.endswith(f".{domain}")
    )


def _needs_secure(given: dict[str, str]) -> bool:
    """Tell whether browsers drop the cookie unless it is a secure one."""
    return "partitioned" in given or given.get("samesite", "").lower() == "none"


def _keeps_prefix(text: str, given: dict[str, str], *, is_named: bool) -> bool:
    """Tell whether a name that promises something keeps it; a value without name may not."""
    lowered = text.lower()
    if not lowered.startswith(("__secure-", "__host-")):
        return True
    if not is_named or "secure" not in given:
        return False
    is_whole = given.get("path") == "/" and not given.get("domain")
    return is_whole or lowered.startswith("__secure-")


def _site(domain: str) -> str:
    """Return what the cookies of one site have in common: two labels are near enough."""
    return ".".join(domain.removesuffix(".").rsplit(".", 2)[-2:])


def _is_within(domain: str, outer: str) -> bool:
    return domain == outer or domain.endswith(f".{outer}")


def _path(url: ParsedUrl) -> str:
    rest = url.url.partition("#")[0].partition("?")[0].partition("://")[2]
    return "/" + rest.partition("/")[2]


def _default_path(source: ParsedUrl) -> str:
    return _path(source).rpartition("/")[0] or "/"


def _covers(path: str, asked: str) -> bool:
    is_start = asked.startswith(path)
    return asked == path or (is_start and (path.endswith("/") or asked[len(path)] == "/"))


def _expiry(given: dict[str, str]) -> float:
    """Return when the cookie ends; an age counts before a date, and what is neither not at all."""
    age = _AGE.fullmatch(given.get("max-age", ""))
    if age:
        sign, digits = age.groups()
        seconds = int(digits) if len(digits) <= _MAX_AGE_DIGITS else float("inf")
        return time.time() + seconds if seconds and sign != "-" else 0.0
    date = parse_cookie_date(given.get("expires", ""))
    return float("inf") if date is None else date
