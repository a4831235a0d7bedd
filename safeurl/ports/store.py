"""The complete interface of a database adapter: the sum of the protocols of its callers."""

from typing import Protocol

from safeurl.ports.attempts import AttemptReader, AttemptStore
from safeurl.ports.audit import AuditLedger, AuditTrail
from safeurl.ports.backlog import Backlog
from safeurl.ports.leadership import Leadership
from safeurl.ports.metrics import AttemptHistory, MetricsReader
from safeurl.ports.scans import ScanStore
from safeurl.ports.schema import SchemaStore
from safeurl.ports.view import ViewReader
from safeurl.ports.workers import WorkerStore


class Store(
    ScanStore,
    ViewReader,
    AttemptStore,
    AttemptReader,
    AttemptHistory,
    Backlog,
    WorkerStore,
    MetricsReader,
    AuditTrail,
    AuditLedger,
    Leadership,
    SchemaStore,
    Protocol,
):
    """The complete interface of a database adapter; each caller names only the parts it uses."""
