"""Gives each sandbox a user id of its own, whoever else makes sandboxes on the same engine.

A sandbox's id stands in a label of its container from the create request on. Whoever has created
one then looks whether another container has the same id, and takes another if so. Of two that
meet, the one that was created later sees the other, because the engine lists what it has created;
so no two that are started have the same. The engine keeps the list: it holds the containers of all
installations and of the doctor, and those that a killed worker has left, until they are removed.
"""

import secrets
from collections.abc import Set as AbstractSet

from safeurl.errors import SandboxUnavailableError
from worker.sandbox import labels
from worker.sandbox.engine import EngineClient


def choose_uid(uids: range, taken: AbstractSet[int]) -> int:
    """Return a random one that is not taken; raise SandboxUnavailableError where none is left."""
    start = secrets.randbelow(len(uids))
    for offset in range(len(uids)):
        uid = uids[(start + offset) % len(uids)]
        if uid not in taken:
            return uid
    raise SandboxUnavailableError(
        f"All {len(uids)} user ids of SANDBOX_UIDS belong to other sandboxes."
    )


def taken_uids(client: EngineClient, container_id: str) -> frozenset[int]:
    """Return the ids of all sandboxes of the engine, running or not, but this container's."""
    listed = client.find([labels.UID])
    others = (facts["Labels"][labels.UID] for facts in listed if facts["Id"] != container_id)
    # Labels also come from other people's containers.
    return frozenset(int(uid) for uid in others if uid.isascii() and uid.isdecimal())
