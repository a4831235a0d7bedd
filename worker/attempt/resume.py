"""Concludes a scan from its stored evidence, if its worker was lost before it recorded the end."""

import asyncio
import logging
import signal
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from safeurl.model.attempt import FinalRecord
from safeurl.model.report import Evidence
from safeurl.model.scan import Scan
from safeurl.model.stored_evidence import read_evidence
from safeurl.ports.attempts import AttemptEnds
from safeurl.ports.audit import AuditTrail
from safeurl.ports.clock import Clock
from safeurl.ports.scans import EvidenceReader
from safeurl.services.conclusion import final_from_evidence

_log = logging.getLogger("safeurl.conclude")

EVENT = "concluding"
#: The rules take milliseconds. If they use so much CPU time, they would never end.
_MAX_CPU_S = 10.0

#: Returns the final record of an ANALYZING scan from its evidence and the present time.
Judge = Callable[[Scan, Evidence, datetime], FinalRecord]


class ResumeStore(AttemptEnds, AuditTrail, EvidenceReader, Protocol):
    """The parts of the database that `conclude_stored` needs."""


async def conclude_stored(  # noqa: PLR0913 - one keyword per part and limit
    store: ResumeStore,
    scan: Scan,
    *,
    clock: Clock,
    actor: str,
    term: int | None,
    survived: set[tuple[str, int]] | None = None,
    judge: Judge = final_from_evidence,
    max_cpu_s: float = _MAX_CPU_S,
) -> FinalRecord | None:
    """Return the final record of an ANALYZING scan, or None if the page must be fetched again.

    The evidence of an attempt is judged only once, and an audit line is written before. Otherwise
    evidence on which the rules crash would end one leader after the other. A timer ends this
    process if the rules take too long. `survived` contains the scans that this process has judged
    without a crash; their evidence may be judged again.
    """
    survived = set() if survived is None else survived
    key = (scan.id, scan.version)
    was_tried = any(
        (entry.event, entry.version) == (EVENT, scan.version)
        for entry in await store.audit(scan.id)
    )
    if was_tried and key not in survived:
        return None
    document = await store.evidence(scan.id)
    if document is None:
        return None
    try:
        evidence = read_evidence(document)
    except msgspec.MsgspecError:
        # Damaged, or written by a later version of SafeURL.
        _log.warning("conclude.unreadable scan=%s", scan.id)
        return None
    if not was_tried:
        detail = "The stored evidence is judged."
        await store.append_audit(
            scan, event=EVENT, detail=detail, now=clock(), actor=actor, term=term
        )
    # The kernel's timer is used, because a thread cannot be ended during a regular expression.
    signal.setitimer(signal.ITIMER_PROF, max_cpu_s)
    try:
        ending = await asyncio.to_thread(judge, scan, evidence, clock())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    survived.add(key)
    return ending
