"""Concluding a scan that another worker has analysed and not recorded, from what is stored."""

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
#: Judging takes milliseconds; what takes so much of a processor would never end.
_MAX_CPU_S = 10.0

#: From an ANALYZING scan and its evidence, at a moment, to its ending.
Judge = Callable[[Scan, Evidence, datetime], FinalRecord]


class ResumeStore(AttemptEnds, AuditTrail, EvidenceReader, Protocol):
    """What concluding from stored evidence uses."""


async def conclude_stored(  # noqa: PLR0913 - the parts it touches, each handed in
    store: ResumeStore,
    scan: Scan,
    *,
    clock: Clock,
    actor: str,
    term: int | None,
    outlived: set[tuple[str, int]] | None = None,
    judge: Judge = final_from_evidence,
    max_cpu_s: float = _MAX_CPU_S,
) -> FinalRecord | None:
    """Return the final record of an ANALYZING scan, or None when it has to be fetched again.

    The evidence of an attempt is judged once, and an audit line says so before. Without that,
    evidence that makes the judging process crash would end one leader after the other. A timer
    ends this process when judging takes too long. `outlived` holds what this process has judged
    without a crash: such evidence may be judged again.
    """
    outlived = set() if outlived is None else outlived
    key = (scan.id, scan.version)
    was_tried = any(
        (entry.event, entry.version) == (EVENT, scan.version)
        for entry in await store.audit(scan.id)
    )
    if was_tried and key not in outlived:
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
    # The kernel's timer, because a thread can be neither ended nor, in a regular expression, asked.
    signal.setitimer(signal.ITIMER_PROF, max_cpu_s)
    try:
        ending = await asyncio.to_thread(judge, scan, evidence, clock())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    outlived.add(key)
    return ending
