"""The settings of the HTTP API."""

from pydantic import Field

from safeurl.settings.group import SettingsGroup
from safeurl.settings.types import Hosts


class ApiSettings(SettingsGroup):
    """The address of the API, its host names, and its limits for clients."""

    api_host: str = Field(
        default="127.0.0.1", alias="API_HOST", description="Address the HTTP API listens on."
    )
    api_port: int = Field(
        default=8321, ge=0, le=65535, alias="API_PORT", description="Its TCP port."
    )
    api_allowed_hosts: Hosts = Field(
        default=(),
        alias="API_ALLOWED_HOSTS",
        description="Names it answers to, without port. Empty: on loopback its own, else any.",
    )
    api_max_connections: int = Field(
        default=1024,
        ge=16,
        le=65_536,
        alias="API_MAX_CONNECTIONS",
        description="Connections it holds at a time; over that, the client with the most loses "
        "one that waits for it. Needs as many open files.",
    )
    api_max_connections_per_client: int = Field(
        default=32,
        ge=1,
        le=65_536,
        alias="API_MAX_CONNECTIONS_PER_CLIENT",
        description="Of these, those of one address (IPv6: one /64 network). Behind a reverse "
        "proxy all clients have its address: raise this to what the proxy opens.",
    )
    api_client_timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        alias="API_CLIENT_TIMEOUT_SECONDS",
        description="How long it waits for a request's head, or between two pieces of a request's "
        "body or of an answer. A body may take three times as long, an answer six times.",
    )
