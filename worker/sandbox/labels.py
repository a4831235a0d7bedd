"""The names and labels of our containers: what is ours, whose it is, and until when.

Labels are set when a container is created, before it runs, so that a container whose worker
was killed at any later moment can still be recognised and removed.
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
#: The user id that the sandbox has on this host; not needed to know whose a container is.
UID = "safeurl.uid"

ROLE_SANDBOX = "sandbox"
#: A container in which `safeurl doctor` tries the isolation.
ROLE_DOCTOR = "doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLabels:
    """Whose container this is."""

    #: Which installation made it, so that two on one host leave each other alone.
    instance: str
    scan: str
    attempt: int
    #: Nobody needs the container after this time.
    deadline_at: datetime
    role: str = ROLE_SANDBOX


def container_name(scan: str, attempt: int) -> str:
    """Return the container's name; Docker refuses a second one, so an attempt has one sandbox."""
    return f"safeurl-{scan}-{attempt}"


def build(labels: SandboxLabels) -> dict[str, str]:
    """Return the labels as Docker takes them."""
    return {
        MANAGED: "true",
        INSTANCE: labels.instance,
        SCAN: labels.scan,
        ATTEMPT: str(labels.attempt),
        DEADLINE: labels.deadline_at.astimezone(UTC).isoformat(timespec="seconds"),
        ROLE: labels.role,
    }


def read(raw: Mapping[str, str] | None) -> SandboxLabels | None:
    """Return what the labels say, or None for a container that we did not make.

    Labels also come from images and from other people's containers: what does not read as
    ours in every part is not ours, and is never touched.
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
    except (KeyError, ValueError):  # a label is missing or is not of our form
        return None
    return labels if deadline_at.tzinfo is not None else None


def instance_filter(instance: str) -> list[str]:
    """Return the label filter that lists an instance's containers."""
    return [f"{MANAGED}=true", f"{INSTANCE}={instance}"]
