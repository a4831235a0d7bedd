"""Requests connections from the egress gateway, the only way out of a sandbox without a network.

The gateway listens on a unix socket of this sandbox. It resolves the name, applies the address
policy and connects. The headers of its response to CONNECT are evidence.
"""

import socket

from msgspec import Struct

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.head import Head, HeadReader, NotHttpError
from fetcher.http.hop_recorder import HopRecorder
from fetcher.sanitize import ip_literal, sanitize
from safeurl.state import Outcome

#: The path of the socket in every sandbox.
SOCKET_PATH = "/run/egress/egress.sock"

#: The gateway's own limits for resolving and connecting are shorter, so it answers within this
#: time.
_RESPONSE_S = 20.0
_READ_BYTES = 16 * 1024
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


class GatewayDialler(Struct, frozen=True):
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


def _send_connect(connection: socket.socket, recorder: HopRecorder) -> Head:
    """Send CONNECT and return the head of the response; the tunnel's bytes follow it."""
    authority = (
        f"[{recorder.host}]:{recorder.port}"
        if ":" in recorder.host
        else f"{recorder.host}:{recorder.port}"
    )
    connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii"))
    reader, head = HeadReader(), None
    while head is None:
        data = connection.recv(_READ_BYTES)
        if not data:
            raise _unavailable("it closed the connection")
        try:
            head = reader.feed(data)
        except NotHttpError as error:
            raise _unavailable(error) from error
    if head.anomalies:
        # The gateway's own responses have none, so another program has answered.
        raise _unavailable(f"its response is not valid ({', '.join(head.anomalies)})")
    return head


def _read_response(response: Head, recorder: HopRecorder) -> None:
    """Record the gateway's response; raise an error if there is no tunnel."""
    headers = {
        name.decode("ascii").lower(): sanitize(value.decode("latin-1"))
        for name, value in response.raw
    }
    addresses = map(ip_literal, headers.get("x-safeurl-addresses", "").split(","))
    recorder.addresses = tuple(filter(None, addresses))[:_MAX_ADDRESSES]
    recorder.address = ip_literal(headers.get("x-safeurl-address", "")) or None
    recorder.dns_ms = _milliseconds(headers.get("x-safeurl-dns-ms", ""))
    recorder.connect_ms = _milliseconds(headers.get("x-safeurl-connect-ms", ""))
    if response.status in _SUCCESSES:
        return
    rule = headers.get("x-safeurl-rule", "refused")
    if response.status == _LIMIT_REACHED or rule == _UNBOUND:
        raise _limit_reached(rule)
    if response.status == _REFUSED:
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


def _unavailable(error: Exception | str) -> FetchFailedError:
    return FetchFailedError(
        Outcome.CONNECT_REFUSED, f"The egress gateway does not answer: {sanitize(str(error))}."
    )
