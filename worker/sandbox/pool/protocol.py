"""The protocol between the pool and its users: JSON lines over a unix socket.

A claim makes the connection the owner of a sandbox. The response comes with the descriptor of the
sandbox's attached stream (SCM_RIGHTS). When the connection closes without a `Release`, the process
that claimed has ended or has lost interest, and the pool removes the sandbox.
"""

import re
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

#: Names in the pool's folder.
SOCKET_NAME: Final = "pool.sock"
LOCK_NAME: Final = "pool.lock"
ID_NAME: Final = "pool.id"
#: The length of the id, which the file holds in hexadecimal.
ID_BYTES: Final = 8
_ID: Final = re.compile(rb"[0-9a-f]{%d}\s*" % (2 * ID_BYTES))

#: The longest line in either direction; the longest response lists the names of all containers.
MAX_LINE_BYTES: Final = 256 * 1024

#: Why a claim gets no sandbox.
EMPTY: Final = "empty"
OTHER_KEY: Final = "other_key"
STOPPING: Final = "stopping"
FAILED: Final = "failed"
#: Counted by the user itself: the pool did not answer.
NO_POOL: Final = "no_pool"


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The strictness that all messages share."""


class Claim(_Message, frozen=True, tag_field="op", tag="claim"):
    """Hand out a sandbox for this attempt."""

    #: What the sandbox must have been made from (`key.pool_key`).
    key: str
    scan: Annotated[str, Meta(min_length=1, max_length=200)]
    attempt: Annotated[int, Meta(ge=0)]


class Release(_Message, frozen=True, tag_field="op", tag="release"):
    """Kill and remove the sandbox of this connection."""


class Names(_Message, frozen=True, tag_field="op", tag="names"):
    """List the containers that the pool takes care of."""


class Facts(_Message, frozen=True, tag_field="op", tag="facts"):
    """Return the size and the counters of the pool."""


Request = Claim | Release | Names | Facts


class Claimed(_Message, frozen=True, tag_field="answer", tag="claimed"):
    """The sandbox belongs to the connection; its attached stream comes with this response."""

    container_id: str
    #: The engine's time of its start.
    started_at: str | None
    #: The id and the folder of its gateway socket, which is not bound yet.
    egress: str
    egress_dir: str


class Missed(_Message, frozen=True, tag_field="answer", tag="missed"):
    """There is no sandbox for the claim; the attempt starts one itself."""

    reason: str


class Released(_Message, frozen=True, tag_field="answer", tag="released"):
    """The container is gone, or, with `is_removed` false, could not be removed."""

    is_removed: bool


class NameList(_Message, frozen=True, tag_field="answer", tag="names"):
    """The names that containers of the pool have before they are claimed, and of its anchors."""

    names: tuple[str, ...]


class PoolFacts(_Message, frozen=True, tag_field="answer", tag="facts"):
    """The size and the counters of the pool, since its process started."""

    size: int = 0
    target: int = 0
    anchors: int = 0
    hits: int = 0
    #: Hits that waited for a sandbox that was being started.
    waited: int = 0
    misses: dict[str, int] = {}
    starts: int = 0
    failed_starts: int = 0


Response = Claimed | Missed | Released | NameList | PoolFacts

REQUESTS: Final = msgspec.json.Decoder(Request)
RESPONSES: Final = msgspec.json.Decoder(Response)


def encode(message: Request | Response) -> bytes:
    """Return the message as a line of JSON."""
    return msgspec.json.encode(message) + b"\n"


def stored_id(directory: Path) -> str | None:
    """Return the id of the pools of this folder; None if there is none.

    After a loss of power or on a full disk, the file may hold anything.
    """
    try:
        text = (directory / ID_NAME).read_bytes()
    except OSError:
        return None
    return text.decode().strip() if _ID.fullmatch(text) else None
