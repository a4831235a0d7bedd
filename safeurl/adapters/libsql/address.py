"""Reads the URL of the database: its transport, and the parts that it may have."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from safeurl.errors import ConfigError


class Transport(StrEnum):
    """The way to send statements; `client` changes to `pipeline` if the server needs it."""

    CLIENT = "client"
    PIPELINE = "pipeline"


_SCHEMES = {
    "libsql": ("https", Transport.PIPELINE),
    "https": ("https", Transport.PIPELINE),
    "http": ("http", Transport.CLIENT),
    "ws": ("http", Transport.CLIENT),
    "wss": ("https", Transport.CLIENT),
}


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the database; neither URL contains a secret."""

    #: The URL for libsql-client.
    client_url: str
    #: The URL with `http:` or `https:`, without a slash at the end.
    http_url: str
    transport: Transport

    @property
    def origin(self) -> str:
        """Return the address of the server for messages."""
        parts = urlsplit(self.http_url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_address(url: str) -> Address:
    """Return the address in TURSO_CONNECTION_URL; raise `ConfigError` without quoting the text."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigError(("The database URL cannot be read.",)) from None
    if parts.scheme not in _SCHEMES or not has_host:
        schemes = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        raise ConfigError((f"The database URL starts with one of {schemes} and names a host.",))
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(
            ("The database URL holds a host, a port and a path; the token is TURSO_AUTH_TOKEN.",)
        )
    scheme, transport = _SCHEMES[parts.scheme]
    http_url = parts._replace(scheme=scheme).geturl().rstrip("/")
    return Address(parts.geturl(), http_url, transport)
