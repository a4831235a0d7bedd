"""TLS with whoever answers: a bad certificate or an old version is evidence, not an end."""

import os
import re
import socket
import ssl
import time

from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError
from fetcher.http.certificate import describe
from fetcher.http.dial import Dialler
from fetcher.http.hop_recorder import HopRecorder
from fetcher.sanitize import SHORT, clean
from safeurl.model.report import Tls
from safeurl.state import Outcome

_HANDSHAKE_S = 10.0

#: All that OpenSSL still has, except what encrypts or authenticates nothing.
_CIPHERS = "ALL:!aNULL:!eNULL:@SECLEVEL=0"

#: Hosts for which OpenSSL's own comparison of names does. In a label that a wildcard stands for it
#: takes no other character, where browsers take any.
_COMPARABLE = re.compile(r"[a-z0-9.:-]+")


def secure(
    connection: socket.socket,
    dialler: Dialler,
    trace: HopRecorder,
    deadline: Deadline,
    protocols: tuple[str, ...],
) -> ssl.SSLSocket:
    """Shake hands and note what was seen; connect anew where the certificate does not verify.

    The socket given is used up in every case: wrapped or closed.
    """
    started = time.monotonic()
    verify_error = ""
    try:
        secured = _handshake(connection, _verifying(trace.host, protocols), trace.host, deadline)
    except ssl.SSLCertVerificationError as error:
        verify_error = error.verify_message or str(error)
        again = dialler.redial(trace, deadline)
        secured = _handshake(again, _context(protocols), trace.host, deadline)
    trace.tls_ms = milliseconds_since(started)
    trace.tls = _evidence(secured, verify_error, trace.host)
    return secured


def _verifying(host: str, protocols: tuple[str, ...]) -> ssl.SSLContext:
    """Return a context that verifies chain and validity, and the host where OpenSSL can."""
    context = _context(protocols)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = _COMPARABLE.fullmatch(host) is not None
    _load_roots(context)
    return context


def _context(protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Versions and ciphers that browsers no longer take still say what a server is.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0)
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(protocols))
    return context


def _load_roots(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if paths.capath:
        # Read on demand; the bundle file costs 50 ms of CPU.
        context.load_verify_locations(capath=paths.capath)
    if paths.cafile and (not paths.capath or "SSL_CERT_FILE" in os.environ):
        context.load_verify_locations(cafile=paths.cafile)


def _handshake(
    connection: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline
) -> ssl.SSLSocket:
    try:
        connection.settimeout(max(0.001, deadline.within(_HANDSHAKE_S).left()))
        return context.wrap_socket(connection, server_hostname=host.removesuffix("."))
    except ssl.SSLCertVerificationError:
        connection.close()
        raise
    except TimeoutError as error:
        connection.close()
        raise FetchFailedError(
            Outcome.CONNECT_TIMEOUT, f"{host} did not finish the TLS handshake in time."
        ) from error
    except (OSError, ValueError) as error:
        connection.close()
        words = getattr(error, "reason", None) or "the connection was closed"
        raise FetchFailedError(
            Outcome.TLS_INVALID,
            f"No TLS session could be made with {host}: {str(words).lower().replace('_', ' ')}.",
        ) from error


def _evidence(secured: ssl.SSLSocket, verify_error: str, host: str) -> Tls:
    cipher = secured.cipher()
    details = describe(secured.getpeercert(binary_form=True) or b"")
    if not (verify_error or _COMPARABLE.fullmatch(host) or covers(details.get("sans", ()), host)):
        verify_error = f"Hostname mismatch, certificate is not valid for '{host}'."
    return Tls(
        version=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        alpn=secured.selected_alpn_protocol() or "",
        verified=not verify_error,
        verify_error=clean(verify_error, SHORT),
        **details,
    )


def covers(names: tuple[str, ...], host: str) -> bool:
    """Tell whether one of the certificate's names is the host's, as browsers compare (RFC 9525).

    `*` stands for the whole first label, and for no label right below a top-level domain.
    """
    wanted = host.removesuffix(".")
    parent = wanted.partition(".")[2]
    accepted = {wanted, f"*.{parent}"} if "." in parent else {wanted}
    return any(name.lower() in accepted for name in names)
