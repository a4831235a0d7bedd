"""Gives each sandbox of an engine its own user id, also if several workers use the engine.

The create request puts the user id into a label of the container. After the creation, the worker
checks whether another container has the same id; if so, it creates the container again with
another id. Of two containers with the same id, the worker of the later one sees the earlier one in
the engine's list. So two started containers never have the same id. The list includes the
containers of all installations, of the doctor, and of killed workers, until they are removed.
"""

import secrets
from collections.abc import Set as AbstractSet

from safeurl.errors import SandboxUnavailableError
from worker.sandbox import labels
from worker.sandbox.engine import EngineClient


def choose_uid(uids: range, taken: AbstractSet[int]) -> int:
    """Return a random id that is not taken; raise SandboxUnavailableError if none is left."""
    start = secrets.randbelow(len(uids))
    for offset in range(len(uids)):
        uid = uids[(start + offset) % len(uids)]
        if uid not in taken:
            return uid
    raise SandboxUnavailableError(
        f"All {len(uids)} user ids of SANDBOX_UIDS belong to other sandboxes."
    )


def taken_uids(client: EngineClient, container_id: str) -> frozenset[int]:
    """Return the user ids of all other containers of the engine, running or ended."""
    listed = client.find([labels.UID])
    others = (facts["Labels"][labels.UID] for facts in listed if facts["Id"] != container_id)
    # Other people's containers may have this label too.
    return frozenset(int(uid) for uid in others if uid.isascii() and uid.isdecimal())
