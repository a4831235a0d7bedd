"""Reads a server's certificate; fields that cannot be read stay empty."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypedDict

from cryptography import x509

from fetcher.sanitize import LONG, SHORT, sanitize

_MAX_NAMES = 256

#: Exceptions that cryptography raises for malformed certificates.
_MALFORMED = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Details(TypedDict, total=False):
    """The fields of `safeurl.model.report.Tls` that come from the certificate."""

    issuer: str
    subject: str
    sans: tuple[str, ...]
    not_before: str
    not_after: str
    serial: str
    sha256: str


def describe(der: bytes) -> Details:
    """Return the fields of a DER certificate; its bytes may be hostile."""
    if not der:
        return {}
    details: Details = {"sha256": hashlib.sha256(der).hexdigest()}
    try:
        certificate = x509.load_der_x509_certificate(der)
    except _MALFORMED:
        return details
    # cryptography parses each field at its first access, so the access happens inside `_read`.
    details["issuer"] = _read(lambda: _rfc4514(certificate.issuer), LONG)
    details["subject"] = _read(lambda: _rfc4514(certificate.subject), LONG)
    details["not_before"] = _read(lambda: _iso(certificate.not_valid_before_utc))
    details["not_after"] = _read(lambda: _iso(certificate.not_valid_after_utc))
    details["serial"] = _read(lambda: f"{certificate.serial_number:x}")
    details["sans"] = _names(certificate)
    return details


def _read(field: Callable[[], str], limit: int = SHORT) -> str:
    try:
        return sanitize(field(), limit)
    except _MALFORMED:
        return ""


def _rfc4514(name: x509.Name) -> str:
    return name.rfc4514_string()


def _iso(moment: datetime) -> str:
    # strftime would write years before 1000 without leading zeros.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (*_MALFORMED, x509.ExtensionNotFound):
        return ()
    return tuple(_name_values(extension.value))[:_MAX_NAMES]


def _name_values(names: x509.SubjectAlternativeName) -> Iterator[str]:
    for name in names:
        if isinstance(name, x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier):
            yield sanitize(name.value)
        elif isinstance(name, x509.IPAddress):
            yield str(name.value)
