"""Cookies that live as long as the fetch, as redirect chains need them."""

from dataclasses import dataclass, field

from safeurl.url import ParsedUrl

_MAX_COOKIES = 50
_MAX_COOKIE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Cookie:
    name: str
    value: str
    domain: str
    #: Whether only the very host that set it gets it back.
    is_host_only: bool
    is_secure: bool

    def goes_to(self, target: ParsedUrl) -> bool:
        if self.is_secure and target.scheme != "https":
            return False
        host = target.host.removesuffix(".")
        is_below = not self.is_host_only and host.endswith(f".{self.domain}")
        return host == self.domain or is_below


@dataclass(slots=True)
class CookieJar:
    """Keeps cookies by host and domain; paths and life-times beyond deletion do not matter here."""

    _cookies: dict[tuple[str, str], _Cookie] = field(default_factory=dict)

    def header(self, target: ParsedUrl) -> str:
        """Return the Cookie header for a request, empty when there is none to send."""
        fitting = (cookie for cookie in self._cookies.values() if cookie.goes_to(target))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)

    def store(self, source: ParsedUrl, set_cookie: str) -> None:
        """Take in one Set-Cookie header."""
        pair, *attributes = set_cookie[: _MAX_COOKIE_BYTES * 2].split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        usable = pair.isascii() and pair.isprintable() and len(pair) <= _MAX_COOKIE_BYTES
        if not (name and equals and usable):
            return
        given = _attributes(attributes)
        host = source.host.removesuffix(".")
        domain = given.get("domain", "").lstrip(".").lower()
        if domain and not _may_set(host, domain):
            return
        key = (domain or host, name)
        self._cookies.pop(key, None)
        if not _is_deletion(given) and len(self._cookies) < _MAX_COOKIES:
            is_host_only = not domain or source.is_literal
            self._cookies[key] = _Cookie(name, value, key[0], is_host_only, "secure" in given)


def _attributes(parts: list[str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in parts)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _may_set(host: str, domain: str) -> bool:
    # One label is a top-level domain. Longer public suffixes are let through: the jar dies with
    # the fetch, so what leaks is what the chain's own hosts could pass on in their URLs.
    return host == domain or ("." in domain and host.endswith(f".{domain}"))


def _is_deletion(given: dict[str, str]) -> bool:
    age = given.get("max-age", "")
    if age:
        return age.startswith("-") or age == "0"
    return "1970" in given.get("expires", "")
