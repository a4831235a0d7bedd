"""What a worker and the gateway say to each other: JSON lines over the control socket.

One request, one answer, as many as one likes on a connection. Both ends are ours, yet the
structs are strict: a field that one side does not know is a fault, not a default.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from safeurl.model.report import Count, EgressEvidence, Short

#: The names under the gateway's folder.
CONTROL_NAME: Final = "control.sock"
LOCK_NAME: Final = "gateway.lock"
SOCKETS_NAME: Final = "sockets"
#: The one file in a sandbox's folder.
SOCKET_NAME: Final = "egress.sock"

#: The longest request line, and the longest answer: 512 decisions of 64 addresses each.
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024

#: Codes of `Failed`.
UNKNOWN_SOCKET: Final = "unknown_socket"
ALREADY_BOUND: Final = "already_bound"
BAD_REQUEST: Final = "bad_request"
UNAVAILABLE: Final = "unavailable"
FORBIDDEN: Final = "forbidden"

SocketId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Common strictness of all messages."""


class Caps(_Message, frozen=True):
    """How much one scan may take."""

    #: Requests for a connection, refused ones included, and open ones at a time.
    max_connections: Annotated[int, Meta(ge=1)] = 512
    max_concurrent: Annotated[int, Meta(ge=1)] = 64
    #: Bytes into the sandbox and out of it, over all its connections.
    max_bytes_in: Count = 128 * 1024 * 1024
    max_bytes_out: Count = 128 * 1024 * 1024
    #: Bytes each way within a second, over all its connections; more of them wait.
    bytes_per_second: Annotated[int, Meta(ge=1)] = 64 * 1024 * 1024


class EgressPolicy(_Message, frozen=True):
    """The operator's changes to the address policy, as in the settings, and the caps."""

    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    allow_ports: tuple[Port, ...] = ()
    deny_ports: tuple[Port, ...] = ()
    dns64: bool = False
    #: Whether a tunnel's ClientHello may name another host than its CONNECT did.
    allow_sni_mismatch: bool = False
    caps: Caps = Caps()


class Create(_Message, frozen=True, tag_field="op", tag="create"):
    """Make a socket; until it is bound it refuses everything."""


class Bind(_Message, frozen=True, tag_field="op", tag="bind"):
    """Say which attempt the socket belongs to; once only."""

    id: SocketId
    scan: Short
    attempt: Count
    #: From now; then open connections are cut and new ones refused.
    deadline_s: Annotated[float, Meta(gt=0, le=86_400)]
    policy: EgressPolicy = EgressPolicy()
    #: Whose scans these are: workers of several installations may share a gateway.
    instance: Short = ""


class Collect(_Message, frozen=True, tag_field="op", tag="collect"):
    """Return the evidence so far."""

    id: SocketId


class Close(_Message, frozen=True, tag_field="op", tag="close"):
    """Cut the connections, remove the socket, return the evidence."""

    id: SocketId


class Open(_Message, frozen=True, tag_field="op", tag="open"):
    """Listen on a new socket in this folder; said by the gateway to a process that serves none."""

    directory: str


class Expire(_Message, frozen=True, tag_field="op", tag="expire"):
    """Cut the connections and refuse more, because the time is up; said by the gateway itself."""


class List(_Message, frozen=True, tag_field="op", tag="list"):
    """Name the sockets that belong to attempts of this instance."""

    instance: Short


class Ping(_Message, frozen=True, tag_field="op", tag="ping"):
    """Ask who is there."""


Request = Create | Bind | Collect | Close | List | Ping
#: What the gateway asks of the process of one socket.
MemberRequest = Open | Bind | Collect | Close | Expire


class Created(_Message, frozen=True, tag_field="answer", tag="created"):
    """The socket listens, in the folder of this name; where that is, the worker knows itself."""

    id: SocketId


class Opened(_Message, frozen=True, tag_field="answer", tag="opened"):
    """The socket listens, and refuses everything until it is bound."""


class Bound(_Message, frozen=True, tag_field="answer", tag="bound"):
    """From now on the socket connects."""


class Record(_Message, frozen=True, tag_field="answer", tag="evidence"):
    """Answers `Collect` and `Close`."""

    evidence: EgressEvidence


class BoundSocket(_Message, frozen=True):
    """A socket and whose it is."""

    id: SocketId
    scan: Short
    attempt: Count
    #: Since it was bound.
    age_s: Annotated[float, Meta(ge=0)]


class Listed(_Message, frozen=True, tag_field="answer", tag="listed"):
    """Answers `List`; a socket is named until it is closed or expires."""

    sockets: tuple[BoundSocket, ...]


class Surroundings(_Message, frozen=True):
    """What the gateway knows of the networks of its host."""

    #: Networks that are refused because they are beside the host; how many of them are public.
    neighbours: Count = 0
    public_neighbours: Count = 0
    #: IP versions by which the host reaches the Internet from an address that is not public, where
    #: no setting names its public one.
    unknown_public: tuple[int, ...] = ()


class Pong(_Message, frozen=True, tag_field="answer", tag="pong"):
    """Who is there; another `started_at` means another gateway, which knows no older socket."""

    version: str
    pid: int
    #: ISO 8601, UTC.
    started_at: str
    host: Surroundings = Surroundings()


class Failed(_Message, frozen=True, tag_field="answer", tag="failed"):
    """The request was not carried out."""

    code: str
    message: str


Answer = Created | Opened | Bound | Record | Listed | Pong | Failed


def encode(message: Request | MemberRequest | Answer) -> bytes:
    """Return the message as a line of JSON."""
    return msgspec.json.encode(message) + b"\n"
