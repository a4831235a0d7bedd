"""Parses `REDIS_URL`: the address of the queue's server, and the user for it. Pure."""

from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """A server at a TCP address, or at a unix socket if `path` is not empty."""

    host: str = ""
    port: int = _DEFAULT_PORT
    path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    is_tls: bool = False

    def __str__(self) -> str:
        """Return the address as text, without the password."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_redis_url(url: str) -> RedisPlace:
    """Parse a `redis:`, `rediss:` or `unix:` URL; raise ValueError without quoting the URL.

    Options are refused, except `db` of a socket: with some clients they turn verification off.
    """
    parts = _split(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    if parts.fragment:
        raise ValueError("it has a fragment (#); write # in a password as %23")
    return replace(
        _socket(parts) if parts.scheme == "unix" else _server(parts),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _split(url: str) -> SplitResult:
    """Split the URL without the library's errors, which quote parts of it.

    If a password contains `/`, `?`, `[` or `@` without escaping, a part of it is read as host or
    port.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it raises ValueError for a bad port
    except ValueError:
        advice = "write special characters in a password as %2F and the like"
        raise ValueError(f"its host or port cannot be read; {advice}") from None
    return parts


def _socket(parts: SplitResult) -> RedisPlace:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = options.pop("db", "0")
    if options:
        raise ValueError("it has an option other than db")
    if parts.hostname or not parts.path.startswith("/") or len(parts.path) == 1:
        raise ValueError("it names no socket, as unix:///run/valkey.sock does")
    return RedisPlace(path=unquote(parts.path), database=_number(database))


def _server(parts: SplitResult) -> RedisPlace:
    if parts.query:
        raise ValueError("it has options (?); use REDIS_TLS_CA, REDIS_TLS_CERT and REDIS_TLS_KEY")
    if not parts.hostname:
        raise ValueError("it names no host")
    return RedisPlace(
        host=parts.hostname,
        port=_DEFAULT_PORT if parts.port is None else parts.port,
        database=_number(parts.path.strip("/") or "0"),
        is_tls=parts.scheme == "rediss",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("its database is not a number")
    return int(text)
