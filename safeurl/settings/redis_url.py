"""`REDIS_URL` as data: where the queue's server is, and as whom we speak to it. Pure."""

from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """A server behind a TCP address, or behind a unix socket where `path` is not empty."""

    host: str = ""
    port: int = _DEFAULT_PORT
    path: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    is_tls: bool = False

    def __str__(self) -> str:
        """Return the place in words, without the password."""
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_redis_url(url: str) -> RedisPlace:
    """Read a `redis:`, `rediss:` or `unix:` URL; ValueError says what is wrong, never the URL.

    Options are refused but for a socket's `db`: with some clients they turn verification off.
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
    """Split the URL; what the library says of one that it cannot read quotes parts of it.

    A `/`, `?`, `[` or `@` in a password that is not escaped makes a host or a port of a part of it.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read for its ValueError
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
        raise ValueError("its database is no number")
    return int(text)
