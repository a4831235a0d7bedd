"""Cookies of one fetch, stored and sent as browsers do (RFC 6265bis).

Each character of a cookie stands for one byte of the header. So the server receives the bytes that
it has set, in whatever character set they are.
"""

import re
import time
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, field

from fetcher.http.cookie_date import parse_cookie_date
from safeurl.url import ParsedUrl

#: Cookies of one site. Above this number the oldest are removed, as in Chromium.
_MAX_COOKIES = 180
_KEPT_COOKIES = 150
#: Name and value together, and the value of an attribute (RFC 6265bis, 5.6).
_MAX_COOKIE_BYTES = 4096
_MAX_ATTRIBUTE_BYTES = 1024

_SPACE = " \t"
#: Characters at which the header ends, as in Chromium.
_END = re.compile("[\0\r\n]")
#: A header with one of these is ignored. A tab is allowed around the parts.
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: An age that is not an integer is ignored.
_AGE = re.compile(r"([+-]?)0*([0-9]+)", re.ASCII)
#: An age with more digits never expires.
_MAX_AGE_DIGITS = 12


class _Cookie(Struct, frozen=True):
    name: str
    value: str
    domain: str
    #: True if the cookie is sent only to the host that has set it.
    is_host_only: bool
    path: str
    is_secure: bool
    #: On the clock of `time.time`; infinite for a session cookie.
    expires: float

    @property
    def key(self) -> "_Key":
        return self.domain, self.is_host_only, self.path, self.name

    def matches(self, target: ParsedUrl) -> bool:
        if self.is_secure and target.scheme != "https":
            return False
        is_below = not self.is_host_only and target.host.endswith(f".{self.domain}")
        return (target.host == self.domain or is_below) and _path_matches(self.path, _path(target))


_Key: TypeAlias = tuple[str, bool, str, str]


class CookieJar(Struct):
    """Stores cookies by site; within a site by domain, path and name, the oldest first."""

    #: By site, so that a request searches only its own site's cookies, however many sites a chain
    #: has.
    _sites: dict[str, dict[_Key, _Cookie]] = field(default_factory=dict)

    def header(self, target: ParsedUrl) -> str:
        """Return the Cookie header for a request; empty if there is no cookie to send."""
        now = time.time()
        kept = self._sites.get(_site(target.host), {})
        matching = [x for x in kept.values() if x.expires > now and x.matches(target)]
        # Longer paths come first. The sort is stable, so older cookies stay before newer ones.
        matching.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{x.name}={x.value}" if x.name else x.value for x in matching)

    def store(self, source: ParsedUrl, set_cookie: str) -> None:
        """Store the cookie of one Set-Cookie header."""
        cookie = _parse(source, set_cookie)
        kept = self._sites.setdefault(_site(source.host), {})
        if cookie is None or _is_shadowing(source, cookie, kept.values()):
            return
        known = kept.get(cookie.key)
        if known is None or known.value != cookie.value or cookie.expires <= time.time():
            # A new value makes a new cookie with a new age.
            kept.pop(cookie.key, None)
        if cookie.expires > time.time():
            kept[cookie.key] = cookie
            if len(kept) > _MAX_COOKIES:
                for key in [*kept][:-_KEPT_COOKIES]:
                    del kept[key]


def _is_shadowing(source: ParsedUrl, cookie: _Cookie, kept: Iterable[_Cookie]) -> bool:
    """Return True if a cookie from an insecure page would replace or hide a secure cookie."""
    return source.scheme != "https" and any(
        other.is_secure
        and other.name == cookie.name
        and (_is_within(other.domain, cookie.domain) or _is_within(cookie.domain, other.domain))
        and _path_matches(other.path, cookie.path)
        for other in kept
    )


def _parse(source: ParsedUrl, set_cookie: str) -> _Cookie | None:
    """Return the cookie that a header sets; None if browsers ignore it."""
    set_cookie = _END.split(set_cookie, maxsplit=1)[0]
    if _CONTROL.search(set_cookie):
        return None
    pair, *parts = set_cookie.split(";")
    before, equals, after = pair.partition("=")
    name, value = (before.strip(_SPACE), after.strip(_SPACE)) if equals else ("", before)
    value = value.strip(_SPACE)
    if not _is_valid_pair(name, value):
        return None
    attributes = _parse_attributes(parts)
    is_secure = "secure" in attributes
    if (source.scheme != "https") if is_secure else _needs_secure(attributes):
        return None
    domain = attributes.get("domain", "").removeprefix(".").lower()
    if domain and not _may_set_domain(source, domain):
        return None
    path = attributes.get("path", "")
    if not _has_valid_prefix(name or value, attributes, is_named=bool(name)):
        return None
    return _Cookie(
        name=name,
        value=value,
        domain=domain or source.host,
        is_host_only=not domain or source.is_literal,
        path=path if path.startswith("/") else _default_path(source),
        is_secure=is_secure,
        expires=_expiry(attributes),
    )


def _is_valid_pair(name: str, value: str) -> bool:
    """Return True if browsers accept the pair.

    A value without a name must not contain `=`, because it would be sent like a name.
    """
    is_ambiguous = not name and "=" in value
    is_short = 0 < len(name) + len(value) <= _MAX_COOKIE_BYTES
    return is_short and not is_ambiguous and "\t" not in name + value


def _parse_attributes(parts: list[str]) -> dict[str, str]:
    """Return the attributes by lower-case name; the last one of a name is used."""
    pairs = (part.partition("=") for part in parts)
    found = ((name.strip(_SPACE).lower(), value.strip(_SPACE)) for name, _, value in pairs)
    return {name: value for name, value in found if len(value) <= _MAX_ATTRIBUTE_BYTES}


def _may_set_domain(source: ParsedUrl, domain: str) -> bool:
    # One label is a top-level domain. Longer public suffixes are accepted: the jar lasts for one
    # fetch, and the hosts of a chain could pass the same data to each other in URLs.
    if source.is_literal:
        return source.host == domain
    return source.host == domain or (
        "." in domain.removesuffix(".") and source.host.endswith(f".{domain}")
    )


def _needs_secure(attributes: dict[str, str]) -> bool:
    """Return True if browsers ignore the cookie unless it is secure."""
    return "partitioned" in attributes or attributes.get("samesite", "").lower() == "none"


def _has_valid_prefix(text: str, attributes: dict[str, str], *, is_named: bool) -> bool:
    """Return True if the cookie meets the conditions of its name's prefix, if it has one.

    A cookie without a name must not have such a prefix in its value.
    """
    lowered = text.lower()
    if not lowered.startswith(("__secure-", "__host-")):
        return True
    if not is_named or "secure" not in attributes:
        return False
    is_whole = attributes.get("path") == "/" and not attributes.get("domain")
    return is_whole or lowered.startswith("__secure-")


def _site(domain: str) -> str:
    """Return the site of a domain. Two labels are precise enough for this jar."""
    return ".".join(domain.removesuffix(".").rsplit(".", 2)[-2:])


def _is_within(domain: str, outer: str) -> bool:
    return domain == outer or domain.endswith(f".{outer}")


def _path(url: ParsedUrl) -> str:
    rest = url.url.partition("#")[0].partition("?")[0].partition("://")[2]
    return "/" + rest.partition("/")[2]


def _default_path(source: ParsedUrl) -> str:
    return _path(source).rpartition("/")[0] or "/"


def _path_matches(path: str, asked: str) -> bool:
    is_start = asked.startswith(path)
    return asked == path or (is_start and (path.endswith("/") or asked[len(path)] == "/"))


def _expiry(attributes: dict[str, str]) -> float:
    """Return the time of expiry. `Max-Age` is used before `Expires`; invalid values are ignored."""
    age = _AGE.fullmatch(attributes.get("max-age", ""))
    if age:
        sign, digits = age.groups()
        seconds = int(digits) if len(digits) <= _MAX_AGE_DIGITS else float("inf")
        return time.time() + seconds if seconds and sign != "-" else 0.0
    date = parse_cookie_date(attributes.get("expires", ""))
    return float("inf") if date is None else date
