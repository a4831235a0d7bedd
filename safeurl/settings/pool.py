"""The settings of the warm pool."""

from pydantic import Field

from safeurl.settings.group import SettingsGroup

#: Sandboxes that waited for a shorter time would only be started and removed.
LEAST_TTL_SECONDS = 10


class PoolSettings(SettingsGroup):
    """How many sandboxes a host starts ahead, and how long they wait."""

    pool_size: str = Field(
        default="auto",
        pattern=r"^(auto|[0-9]{1,3})$",
        alias="POOL_SIZE",
        description="Number of sandboxes that a host keeps ready, each started before it has a "
        "page, so that a scan need not wait for the start. auto: by recent demand, at least one, "
        "and as many as memory and WORKER_CONCURRENCY allow. 0: each scan starts its own. Not "
        "used with CONTAINER_NETWORK=bridge.",
    )
    pool_ttl_seconds: int = Field(
        default=600,
        ge=LEAST_TTL_SECONDS,
        le=86_400,
        alias="POOL_TTL_SECONDS",
        description="Time after which a sandbox that waits in the pool is replaced by a new one; "
        "at most nine tenths of EGRESS_UNBOUND_SECONDS. There is no pool if that is under 10 "
        "seconds.",
    )

    @property
    def fixed_pool_size(self) -> int | None:
        """POOL_SIZE as a number; None for `auto`."""
        return None if self.pool_size == "auto" else int(self.pool_size)
