"""TLS with any server: an invalid certificate or an old version is evidence, not a failure."""

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
from fetcher.sanitize import SHORT, sanitize
from safeurl.model.report import Tls
from safeurl.state import Outcome

_HANDSHAKE_S = 10.0

#: All ciphers of OpenSSL, except those without encryption or authentication.
_CIPHERS = "ALL:!aNULL:!eNULL:@SECLEVEL=0"

#: Host names that OpenSSL compares as browsers do. For a name with other characters it
#: refuses a wildcard that browsers accept.
_PLAIN_HOST = re.compile(r"[a-z0-9.:-]+")


def secure(
    connection: socket.socket,
    dialler: Dialler,
    recorder: HopRecorder,
    deadline: Deadline,
    protocols: tuple[str, ...],
) -> ssl.SSLSocket:
    """Do the handshake and record it; connect again if the certificate cannot be verified.

    The given socket is wrapped or closed in any case.
    """
    started = time.monotonic()
    verify_error = ""
    try:
        secured = _handshake(
            connection, verifying_context(recorder.host, protocols), recorder.host, deadline
        )
    except ssl.SSLCertVerificationError as error:
        verify_error = error.verify_message or str(error)
        second = dialler.redial(recorder, deadline)
        secured = _handshake(second, _context(protocols), recorder.host, deadline)
    recorder.tls_ms = milliseconds_since(started)
    recorder.tls = _evidence(secured, verify_error, recorder.host)
    return secured


def verifying_context(host: str, protocols: tuple[str, ...]) -> ssl.SSLContext:
    """Return a context that verifies chain and validity, and also the host if OpenSSL can."""
    context = _context(protocols)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = _PLAIN_HOST.fullmatch(host) is not None
    _load_roots(context)
    return context


def _context(protocols: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Old versions and ciphers are allowed, because they are evidence about the server.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0)
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(protocols))
    return context


def _load_roots(context: ssl.SSLContext) -> None:
    paths = ssl.get_default_verify_paths()
    if paths.capath:
        # A folder is read on demand; reading the bundle file takes 50 ms of CPU time.
        context.load_verify_locations(capath=paths.capath)
    if paths.cafile and (not paths.capath or "SSL_CERT_FILE" in os.environ):
        context.load_verify_locations(cafile=paths.cafile)


def _handshake(
    connection: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline
) -> ssl.SSLSocket:
    try:
        connection.settimeout(max(0.001, deadline.within(_HANDSHAKE_S).left()))
        # As bytes, because Python would import its IDNA codec for a string.
        name = host.removesuffix(".").encode("ascii")
        return context.wrap_socket(connection, server_hostname=name)
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
        reason = getattr(error, "reason", None) or "the connection was closed"
        raise FetchFailedError(
            Outcome.TLS_INVALID,
            f"No TLS session could be made with {host}: {str(reason).lower().replace('_', ' ')}.",
        ) from error


def _evidence(secured: ssl.SSLSocket, verify_error: str, host: str) -> Tls:
    cipher = secured.cipher()
    details = describe(secured.getpeercert(binary_form=True) or b"")
    if not (
        verify_error or _PLAIN_HOST.fullmatch(host) or matches_host(details.get("sans", ()), host)
    ):
        verify_error = f"Hostname mismatch, certificate is not valid for '{host}'."
    return Tls(
        version=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        alpn=secured.selected_alpn_protocol() or "",
        verified=not verify_error,
        verify_error=sanitize(verify_error, SHORT),
        **details,
    )


def matches_host(names: tuple[str, ...], host: str) -> bool:
    """Return True if a name of the certificate matches the host as in browsers (RFC 9525).

    `*` stands for the complete first label. It does not match directly below a top-level domain.
    """
    wanted = host.removesuffix(".")
    parent = wanted.partition(".")[2]
    accepted = {wanted, f"*.{parent}"} if "." in parent else {wanted}
    return any(name.lower() in accepted for name in names)
