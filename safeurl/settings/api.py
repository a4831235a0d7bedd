"""The settings of the HTTP API."""

from pydantic import Field

from safeurl.settings.group import SettingsGroup
from safeurl.settings.types import Hosts


class ApiSettings(SettingsGroup):
    """The address of the API, its host names, and its limits for clients."""

    api_host: str = Field(
        default="127.0.0.1", alias="API_HOST", description="Address that the HTTP API listens on."
    )
    api_port: int = Field(
        default=8321,
        ge=0,
        le=65535,
        alias="API_PORT",
        description="TCP port that the HTTP API listens on.",
    )
    api_allowed_hosts: Hosts = Field(
        default=(),
        alias="API_ALLOWED_HOSTS",
        description="Host names that the API answers to, without port. Empty: on loopback its "
        "own names, else any.",
    )
    api_max_connections: int = Field(
        default=1024,
        ge=16,
        le=65_536,
        alias="API_MAX_CONNECTIONS",
        description="Limit of connections to the API. Above it, the API closes a waiting "
        "connection of the client that has the most. The process needs as many "
        "open files.",
    )
    api_max_connections_per_client: int = Field(
        default=32,
        ge=1,
        le=65_536,
        alias="API_MAX_CONNECTIONS_PER_CLIENT",
        description="Limit of connections from one address (IPv6: one /64 network). Behind a "
        "reverse proxy all clients have its address: set this to the number that "
        "the proxy opens.",
    )
    api_client_timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        alias="API_CLIENT_TIMEOUT_SECONDS",
        description="Time that the API waits for a request's head, or between two pieces of a "
        "request's body or of an answer. A whole body may take three times as "
        "long, a whole answer six times.",
    )
