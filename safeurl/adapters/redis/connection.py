"""Connections to Redis, or to the embedded Valkey over its unix socket."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Seconds after which a command without a response fails.
SOCKET_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files for TLS, each empty if it is not needed. The verification cannot be weakened."""

    #: The certificate authorities; the system's if it is empty.
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """The server of the queue: a TCP address, or a unix socket if `host` is empty."""

    host: str = ""
    port: int = 6379
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    socket_path: Path
    #: None: the connection is not encrypted.
    tls: Tls | None = None

    def connect(self) -> AsyncRedis:
        """Return a client for short commands, of the event loop in which it is first used.

        A command that waits for a silent server uses no thread. It ends if its caller is cancelled.
        """
        return AsyncRedis(
            **self._place(), socket_timeout=SOCKET_TIMEOUT_S, retry=AsyncRetry(NoBackoff(), 1)
        )

    def connect_worker(self, timeout_s: float) -> Redis:
        """Return a client for workers, which block while they wait for a wake-up."""
        return Redis(**self._place(), socket_timeout=timeout_s, retry=Retry(NoBackoff(), 1))

    def _place(self) -> dict[str, Any]:
        """Return the arguments of a client for the server's address and our user."""
        common = {
            "username": self.username or None,
            "password": self.password or None,
            "db": self.database,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
        }
        if not self.host:
            return {**common, "unix_socket_path": str(self.socket_path)}
        place = {**common, "host": self.host, "port": self.port}
        if self.tls is None:
            return place
        return {
            **place,
            "ssl": True,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_min_version": ssl.TLSVersion.TLSv1_2,
            "ssl_ca_certs": self.tls.ca or None,
            "ssl_certfile": self.tls.cert or None,
            "ssl_keyfile": self.tls.key or None,
        }
