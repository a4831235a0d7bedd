"""Connections to Redis, or to the embedded Valkey over its unix socket."""

from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Seconds after which a command without an answer fails instead of hanging its caller.
SOCKET_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """Where the queue lives: a TCP address, or the unix socket where `host` is empty."""

    host: str = ""
    port: int = 6379
    password: str = field(default="", repr=False)
    socket_path: Path

    def connect(self) -> Redis:
        """Return a client for short commands that fails soon when the server is gone."""
        return self._client(SOCKET_TIMEOUT_S)

    def connect_worker(self, timeout_s: float) -> Redis:
        """Return a client for workers, which block while they wait for a wake-up."""
        return self._client(timeout_s)

    def _client(self, timeout_s: float) -> Redis:
        retry = Retry(NoBackoff(), 1)
        if not self.host:
            return Redis(
                unix_socket_path=str(self.socket_path), socket_timeout=timeout_s, retry=retry
            )
        return Redis(
            host=self.host,
            port=self.port,
            password=self.password or None,
            socket_timeout=timeout_s,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=retry,
        )
