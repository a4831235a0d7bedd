"""The containers that a pool has left behind: members that nobody has claimed, and anchors."""

from datetime import UTC, datetime
from typing import Any

from worker.sandbox import labels
from worker.sandbox.engine import EngineClient


def listed_name(facts: dict[str, Any]) -> str:
    """Return the name of a container as the engine lists it; empty if it has none any more."""
    return str((facts.get("Names") or [""])[0]).removeprefix("/")


def leftovers(
    client: EngineClient, instance: str, pool: str, *, before: datetime | None = None
) -> list[str]:
    """Return the names of the containers of this pool that no attempt has claimed.

    Those made after `before` are left out. Remove them by these names: one that is claimed
    meanwhile has another name, and stays.
    """
    found = client.find([*labels.instance_filter(instance), f"{labels.POOL}={pool}"])
    return [
        name
        for facts in found
        if labels.is_unclaimed(name := listed_name(facts))
        and (before is None or datetime.fromtimestamp(facts["Created"], UTC) <= before)
    ]
