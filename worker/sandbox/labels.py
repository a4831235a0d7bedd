"""The names and labels of our containers: installation, attempt or pool, and deadline.

Labels are set when a container is created. So the container can be recognised and removed even if
its worker is killed at any later moment. Docker cannot change them later. So a sandbox of the warm
pool, which is started before there is an attempt, has the label of its pool instead; the pool
renames the container when an attempt claims it, and from then on its name shows the attempt.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

MANAGED = "safeurl.managed"
INSTANCE = "safeurl.instance"
SCAN = "safeurl.scan"
ATTEMPT = "safeurl.attempt"
DEADLINE = "safeurl.deadline"
ROLE = "safeurl.role"
#: The user id of the sandbox on this host; it does not identify the owner of the container.
UID = "safeurl.uid"
#: The pool that has started the container ahead.
POOL = "safeurl.pool"
#: The id of the gateway socket of a container that was started ahead.
EGRESS = "safeurl.egress"

ROLE_SANDBOX = "sandbox"
#: An empty container whose network namespace sandboxes of the pool use, one after another.
ROLE_ANCHOR = "anchor"
#: A container in which `safeurl doctor` tests the isolation.
ROLE_DOCTOR = "doctor"


_PREFIX = "safeurl-"
#: What the names of the pool's containers start with, until an attempt claims one.
AHEAD_PREFIX = "safeurl-pool-"
ANCHOR_PREFIX = "safeurl-anchor-"
_NAME_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLabels:
    """The labels of one container."""

    #: The installation that made it; two installations on one host must not remove each other's.
    instance: str
    #: The attempt; None for a container of a pool.
    scan: str | None = None
    attempt: int | None = None
    #: The pool that started it ahead; None for a container of one attempt.
    pool: str | None = None
    #: The container is not needed after this time.
    deadline_at: datetime
    role: str = ROLE_SANDBOX


def container_name(scan: str, attempt: int) -> str:
    """Return the name; Docker refuses duplicates, so an attempt has at most one sandbox."""
    return f"{_PREFIX}{scan}-{attempt}"


def ahead_name() -> str:
    """Return a new name for a sandbox that no attempt has claimed yet."""
    return AHEAD_PREFIX + secrets.token_hex(_NAME_BYTES)


def anchor_name() -> str:
    """Return a new name for an anchor."""
    return ANCHOR_PREFIX + secrets.token_hex(_NAME_BYTES)


def is_unclaimed(name: str) -> bool:
    """Return True for the name of an anchor, or of a sandbox that no attempt has claimed."""
    return name.startswith((AHEAD_PREFIX, ANCHOR_PREFIX))


def attempt_of(name: str) -> tuple[str, int] | None:
    """Return the scan and the attempt of a container of this name; None if the name shows none."""
    if not name.startswith(_PREFIX) or is_unclaimed(name):
        return None
    scan, _, attempt = name.removeprefix(_PREFIX).rpartition("-")
    is_number = attempt.isascii() and attempt.isdecimal()
    return (scan, int(attempt)) if scan and is_number else None


def build(labels: SandboxLabels) -> dict[str, str]:
    """Return the labels in Docker's form."""
    owner = (
        {SCAN: labels.scan or "", ATTEMPT: str(labels.attempt)}
        if labels.pool is None
        else {POOL: labels.pool}
    )
    return {
        MANAGED: "true",
        INSTANCE: labels.instance,
        **owner,
        DEADLINE: labels.deadline_at.astimezone(UTC).isoformat(timespec="seconds"),
        ROLE: labels.role,
    }


def read(raw: Mapping[str, str] | None) -> SandboxLabels | None:
    """Parse the labels; return None for a container that we did not make.

    Images and other people's containers have labels too. A container is ours only if each of these
    labels is present and valid; other containers are never removed.
    """
    if raw is None or raw.get(MANAGED) != "true":
        return None
    pool = raw.get(POOL)
    try:
        deadline_at = datetime.fromisoformat(raw[DEADLINE])
        labels = SandboxLabels(
            instance=raw[INSTANCE],
            scan=raw[SCAN] if pool is None else None,
            attempt=int(raw[ATTEMPT]) if pool is None else None,
            pool=pool,
            deadline_at=deadline_at,
            role=raw[ROLE],
        )
    except (KeyError, ValueError):  # a label is missing or invalid
        return None
    return labels if deadline_at.tzinfo is not None else None


def instance_filter(instance: str) -> list[str]:
    """Return the label filter that lists an instance's containers."""
    return [f"{MANAGED}=true", f"{INSTANCE}={instance}"]
