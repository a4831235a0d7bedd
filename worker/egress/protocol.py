"""The protocol between a worker and the gateway: JSON lines over the control socket.

Each request gets one response; a connection may carry any number of them. The structs are strict:
a field that the receiver does not know is an error.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from safeurl.address import PolicyOverrides
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report_types import Count, Short

#: Names in the gateway's folder.
CONTROL_NAME: Final = "control.sock"
LOCK_NAME: Final = "gateway.lock"
SOCKETS_NAME: Final = "sockets"
#: The only file in the folder of a sandbox.
SOCKET_NAME: Final = "egress.sock"

#: The longest request line, and the longest response: 512 decisions of 64 addresses each.
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_RESPONSE_BYTES: Final = 8 * 1024 * 1024

#: Codes of `Failed`.
UNKNOWN_SOCKET: Final = "unknown_socket"
ALREADY_BOUND: Final = "already_bound"
BAD_REQUEST: Final = "bad_request"
UNAVAILABLE: Final = "unavailable"
FORBIDDEN: Final = "forbidden"

SocketId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The strictness that all messages share."""


class Caps(_Message, frozen=True):
    """The limits of one scan."""

    #: Requests for a connection, including refused ones; and open connections at a time.
    max_connections: Annotated[int, Meta(ge=1)] = 512
    max_concurrent: Annotated[int, Meta(ge=1)] = 64
    #: Bytes into the sandbox and out of it, over all its connections.
    max_bytes_in: Count = 128 * 1024 * 1024
    max_bytes_out: Count = 128 * 1024 * 1024
    #: Bytes per second in each direction, over all its connections; further bytes wait.
    bytes_per_second: Annotated[int, Meta(ge=1)] = 64 * 1024 * 1024


class EgressPolicy(PolicyOverrides, frozen=True, kw_only=True):
    """What one scan may connect to, and how much it may take."""

    #: Whether a tunnel's ClientHello may name another host than its CONNECT.
    allow_sni_mismatch: bool = False
    caps: Caps = Caps()


class Create(_Message, frozen=True, tag_field="op", tag="create"):
    """Make a socket; it refuses every request until it is bound."""


class Bind(_Message, frozen=True, tag_field="op", tag="bind"):
    """Assign the socket to an attempt; a second time is refused."""

    id: SocketId
    scan: Short
    attempt: Count
    #: Seconds from now until open connections are cut and new ones refused.
    deadline_s: Annotated[float, Meta(gt=0, le=86_400)]
    policy: EgressPolicy = EgressPolicy()
    #: The installation of the scan: workers of several installations may share a gateway.
    instance: Short = ""


class Collect(_Message, frozen=True, tag_field="op", tag="collect"):
    """Return the evidence so far."""

    id: SocketId


class Close(_Message, frozen=True, tag_field="op", tag="close"):
    """Cut the connections, remove the socket, and return the evidence."""

    id: SocketId


class Open(_Message, frozen=True, tag_field="op", tag="open"):
    """Listen on a new socket in this folder; the gateway sends it to an idle process."""

    directory: str


class Expire(_Message, frozen=True, tag_field="op", tag="expire"):
    """Cut the connections and refuse new ones; the gateway sends it after the deadline."""


class List(_Message, frozen=True, tag_field="op", tag="list"):
    """List the sockets that are assigned to attempts of this instance."""

    instance: Short


class Ping(_Message, frozen=True, tag_field="op", tag="ping"):
    """Ask for the gateway's identity."""


Request = Create | Bind | Collect | Close | List | Ping
#: The requests from the gateway to the process of one socket.
MemberRequest = Open | Bind | Collect | Close | Expire


class Created(_Message, frozen=True, tag_field="answer", tag="created"):
    """The socket listens in the folder of this name; the worker knows the path."""

    id: SocketId


class Opened(_Message, frozen=True, tag_field="answer", tag="opened"):
    """The socket listens, and refuses every request until it is bound."""


class Bound(_Message, frozen=True, tag_field="answer", tag="bound"):
    """The socket is assigned and serves requests."""


class Record(_Message, frozen=True, tag_field="answer", tag="evidence"):
    """The response to `Collect` and `Close`."""

    evidence: EgressEvidence


class BoundSocket(_Message, frozen=True):
    """A socket and the attempt that it is assigned to."""

    id: SocketId
    scan: Short
    attempt: Count
    #: Seconds since it was bound.
    age_s: Annotated[float, Meta(ge=0)]


class Listed(_Message, frozen=True, tag_field="answer", tag="listed"):
    """The response to `List`; a socket is listed until it is closed or expires."""

    sockets: tuple[BoundSocket, ...]


class NetworkInventory(_Message, frozen=True):
    """What the gateway knows about the networks of its host."""

    #: The number of refused networks that the host is connected to; how many of them are public.
    neighbours: Count = 0
    public_neighbours: Count = 0
    #: IP versions with a default route but no known public address: neither an interface nor a
    #: setting has one.
    unknown_public: tuple[int, ...] = ()


class Pong(_Message, frozen=True, tag_field="answer", tag="pong"):
    """The gateway's identity; a restarted gateway has a new `started_at` and no older socket."""

    version: str
    pid: int
    #: ISO 8601, UTC.
    started_at: str
    host: NetworkInventory = NetworkInventory()


class Failed(_Message, frozen=True, tag_field="answer", tag="failed"):
    """The request failed."""

    code: str
    message: str


Response = Created | Opened | Bound | Record | Listed | Pong | Failed


def encode(message: Request | MemberRequest | Response) -> bytes:
    """Return the message as a line of JSON."""
    return msgspec.json.encode(message) + b"\n"
