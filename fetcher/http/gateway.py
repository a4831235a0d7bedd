"""Requests connections from the egress gateway, the only way out of a sandbox without a network.

The gateway listens on a unix socket of this sandbox. It resolves the name, applies the address
policy and connects. The headers of its response to CONNECT are evidence.
"""

import socket
from dataclasses import dataclass

import h11

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.hop_recorder import HopRecorder
from fetcher.sanitize import ip_literal, sanitize
from safeurl.state import Outcome

#: The path of the socket in every sandbox.
SOCKET_PATH = "/run/egress/egress.sock"

#: The gateway's own limits for resolving and connecting are shorter, so it answers within this
#: time.
_RESPONSE_S = 20.0
_READ_BYTES = 16 * 1024
_MAX_HEAD_BYTES = 32 * 1024
_MAX_ADDRESSES = 64
_SUCCESSES = range(200, 300)
_REFUSED = 403
_LIMIT_REACHED = 429
#: The rule in the response when the socket belongs to no scan; it is not a property of the address.
_UNBOUND = "unbound"

#: Outcomes that are accepted from the gateway. Any other text is ignored.
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

    def dial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Request a tunnel to the recorder's host, and record the gateway's response."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, deadline.within(_RESPONSE_S).left()))
            try:
                connection.connect(self.path)
                response = _send_connect(connection, recorder)
            except OSError as error:
                raise _unavailable(error) from error
            _read_response(response, recorder)
        except BaseException:
            connection.close()
            raise
        return connection

    def redial(self, recorder: HopRecorder, deadline: Deadline) -> socket.socket:
        """Request another tunnel; the gateway resolves and checks the name again."""
        return self.dial(recorder, deadline)


def _send_connect(connection: socket.socket, recorder: HopRecorder) -> h11.Response:
    """Send CONNECT and return the head of the response; the tunnel's bytes follow it."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    authority = (
        f"[{recorder.host}]:{recorder.port}"
        if ":" in recorder.host
        else f"{recorder.host}:{recorder.port}"
    )
    request = h11.Request(method="CONNECT", target=authority, headers=[("Host", authority)])
    connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    try:
        while not isinstance(event := http.next_event(), h11.Response):
            http.receive_data(connection.recv(_READ_BYTES))
    except h11.RemoteProtocolError as error:
        raise _unavailable(error) from error
    return event


def _read_response(response: h11.Response, recorder: HopRecorder) -> None:
    """Record the gateway's response; raise an error if there is no tunnel."""
    headers = {name.decode(): sanitize(value.decode("latin-1")) for name, value in response.headers}
    addresses = map(ip_literal, headers.get("x-safeurl-addresses", "").split(","))
    recorder.addresses = tuple(filter(None, addresses))[:_MAX_ADDRESSES]
    recorder.address = ip_literal(headers.get("x-safeurl-address", "")) or None
    recorder.dns_ms = _milliseconds(headers.get("x-safeurl-dns-ms", ""))
    recorder.connect_ms = _milliseconds(headers.get("x-safeurl-connect-ms", ""))
    if response.status_code in _SUCCESSES:
        return
    rule = headers.get("x-safeurl-rule", "refused")
    if response.status_code == _LIMIT_REACHED or rule == _UNBOUND:
        raise _limit_reached(rule)
    if response.status_code == _REFUSED:
        recorder.record_refusal(
            rule, recorder.address or (recorder.addresses[0] if recorder.addresses else "")
        )
        raise FetchFailedError(
            Outcome.ADDRESS_REFUSED, f"{recorder.host}:{recorder.port} was not opened ({rule})."
        )
    raise _connect_failure(headers.get("x-safeurl-outcome", ""), recorder)


def _limit_reached(rule: str) -> FetchFailedError:
    """Return the error for a limit of the scan; it is not a property of the address."""
    return FetchFailedError(
        Outcome.FETCH_TIMEOUT if rule == "cap_time" else Outcome.CONNECT_REFUSED,
        f"The egress gateway opens no more connections for this scan ({rule}).",
    )


def _connect_failure(outcome: str, recorder: HopRecorder) -> FetchFailedError:
    for known, sentence in _FAILURES.items():
        if outcome == known:
            return FetchFailedError(known, sentence.format(host=recorder.host, port=recorder.port))
    return FetchFailedError(Outcome.CONNECT_REFUSED, "The egress gateway could not connect.")


def _milliseconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None  # noqa: PLR2004 - the report's maximum


def _unavailable(error: Exception) -> FetchFailedError:
    return FetchFailedError(
        Outcome.CONNECT_REFUSED, f"The egress gateway does not answer: {sanitize(str(error))}."
    )
