"""Which transport a database URL asks for, and what may stand in such a URL."""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from safeurl.errors import ConfigError


class Transport(StrEnum):
    """How statements travel; `client` falls over to `pipeline` where the server wants that."""

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
    """Where the database answers; neither URL holds a secret."""

    #: For libsql-client.
    client_url: str
    #: `http:` or `https:`, no slash at the end.
    http_url: str
    transport: Transport

    @property
    def origin(self) -> str:
        """Where the server is, for people."""
        parts = urlsplit(self.http_url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_address(url: str) -> Address:
    """Read TURSO_CONNECTION_URL, or raise `ConfigError` without repeating what it says."""
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
