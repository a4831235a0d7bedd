"""Asks the egress gateway for connections: in a sandbox without a network there is no other way.

The gateway listens on a unix socket that belongs to this sandbox alone. It resolves, judges and
dials; what it answers to CONNECT says what it did, for the evidence.
"""

import socket
from dataclasses import dataclass

import h11

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.hop_recorder import HopRecorder
from fetcher.sanitize import address, clean
from safeurl.state import Outcome

#: Where the socket is mounted in every sandbox.
SOCKET_PATH = "/run/egress/egress.sock"

#: The gateway gives up on name and address sooner than this, and says so.
_ANSWER_S = 20.0
_READ_BYTES = 16 * 1024
_MAX_HEAD_BYTES = 32 * 1024
_MAX_ADDRESSES = 64
_SUCCESSES = range(200, 300)
_REFUSED = 403
_CAPPED = 429
#: Refused like an address, yet it says nothing about one: the socket belongs to no scan.
_UNBOUND = "unbound"

#: What the gateway may say went wrong; anything else it says is not believed.
_FAILURES = {
    Outcome.DNS_NXDOMAIN: "The host name {host} does not exist.",
    Outcome.DNS_FAILED: "The host name {host} could not be resolved.",
    Outcome.CONNECT_REFUSED: "{host}:{port} refused the connection.",
    Outcome.CONNECT_TIMEOUT: "{host}:{port} did not accept the connection in time.",
}


@dataclass(frozen=True, slots=True)
class GatewayDialler:
    """Connects through the gateway's socket."""

    path: str = SOCKET_PATH

    def dial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Ask for a tunnel to the trace's host; the gateway's answer goes into the trace."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, deadline.within(_ANSWER_S).left()))
            try:
                connection.connect(self.path)
                answer = _ask(connection, trace)
            except OSError as error:
                raise _gone(error) from error
            _read(answer, trace)
        except BaseException:
            connection.close()
            raise
        return connection

    def redial(self, trace: HopRecorder, deadline: Deadline) -> socket.socket:
        """Ask again; the gateway resolves and judges anew."""
        return self.dial(trace, deadline)


def _ask(connection: socket.socket, trace: HopRecorder) -> h11.Response:
    """Send CONNECT and return the head of the answer; the tunnel's bytes come after it."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    where = f"[{trace.host}]:{trace.port}" if ":" in trace.host else f"{trace.host}:{trace.port}"
    request = h11.Request(method="CONNECT", target=where, headers=[("Host", where)])
    connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    try:
        while not isinstance(event := http.next_event(), h11.Response):
            http.receive_data(connection.recv(_READ_BYTES))
    except h11.RemoteProtocolError as error:
        raise _gone(error) from error
    return event


def _read(answer: h11.Response, trace: HopRecorder) -> None:
    """Note what the gateway did; raise when there is no tunnel."""
    said = {name.decode(): clean(value.decode("latin-1")) for name, value in answer.headers}
    addresses = map(address, said.get("x-safeurl-addresses", "").split(","))
    trace.addresses = tuple(filter(None, addresses))[:_MAX_ADDRESSES]
    trace.address = address(said.get("x-safeurl-address", "")) or None
    trace.dns_ms = _milliseconds(said.get("x-safeurl-dns-ms", ""))
    trace.connect_ms = _milliseconds(said.get("x-safeurl-connect-ms", ""))
    if answer.status_code in _SUCCESSES:
        return
    rule = said.get("x-safeurl-rule", "refused")
    if answer.status_code == _CAPPED or rule == _UNBOUND:
        raise _capped(rule)
    if answer.status_code == _REFUSED:
        trace.refuse(rule, trace.address or (trace.addresses[0] if trace.addresses else ""))
        raise FetchFailedError(
            Outcome.ADDRESS_REFUSED, f"{trace.host}:{trace.port} was not opened ({rule})."
        )
    raise _failure(said.get("x-safeurl-outcome", ""), trace)


def _capped(rule: str) -> FetchFailedError:
    """Say what the scan has used up; it is no fault of the address."""
    return FetchFailedError(
        Outcome.FETCH_TIMEOUT if rule == "cap_time" else Outcome.CONNECT_REFUSED,
        f"The egress gateway opens no more connections for this scan ({rule}).",
    )


def _failure(outcome: str, trace: HopRecorder) -> FetchFailedError:
    for known, words in _FAILURES.items():
        if outcome == known:
            return FetchFailedError(known, words.format(host=trace.host, port=trace.port))
    return FetchFailedError(Outcome.CONNECT_REFUSED, "The egress gateway could not connect.")


def _milliseconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None  # noqa: PLR2004 - the report's own bound


def _gone(error: Exception) -> FetchFailedError:
    return FetchFailedError(
        Outcome.CONNECT_REFUSED, f"The egress gateway does not answer: {clean(str(error))}."
    )
