"""All that a database adapter offers."""

from typing import Protocol

from safeurl.ports.audit import AuditLedger
from safeurl.ports.leadership import Leadership
from safeurl.ports.scans import ScanStore


class Store(ScanStore, Leadership, AuditLedger, Protocol):
    """All that a database adapter offers."""
