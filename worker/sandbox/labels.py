"""The names and labels of our containers: installation, attempt and deadline.

Labels are set when a container is created. So the container can be recognised and removed even if
its worker is killed at any later moment.
"""

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

ROLE_SANDBOX = "sandbox"
#: A container in which `safeurl doctor` tests the isolation.
ROLE_DOCTOR = "doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLabels:
    """The labels of one container."""

    #: The installation that made it; two installations on one host must not remove each other's.
    instance: str
    scan: str
    attempt: int
    #: The container is not needed after this time.
    deadline_at: datetime
    role: str = ROLE_SANDBOX


def container_name(scan: str, attempt: int) -> str:
    """Return the name; Docker refuses duplicates, so an attempt has at most one sandbox."""
    return f"safeurl-{scan}-{attempt}"


def build(labels: SandboxLabels) -> dict[str, str]:
    """Return the labels in Docker's form."""
    return {
        MANAGED: "true",
        INSTANCE: labels.instance,
        SCAN: labels.scan,
        ATTEMPT: str(labels.attempt),
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
    try:
        deadline_at = datetime.fromisoformat(raw[DEADLINE])
        labels = SandboxLabels(
            instance=raw[INSTANCE],
            scan=raw[SCAN],
            attempt=int(raw[ATTEMPT]),
            deadline_at=deadline_at,
            role=raw[ROLE],
        )
    except (KeyError, ValueError):  # a label is missing or invalid
        return None
    return labels if deadline_at.tzinfo is not None else None


def instance_filter(instance: str) -> list[str]:
    """Return the label filter that lists an instance's containers."""
    return [f"{MANAGED}=true", f"{INSTANCE}={instance}"]
