"""Concluding a scan that another worker has analysed and not recorded, from what is stored."""

import asyncio
import logging

import msgspec

from safeurl.ending import concluded
from safeurl.ports import Clock, Ending, ScanStore
from safeurl.report import Evidence
from safeurl.scan import Scan

_log = logging.getLogger("safeurl.conclude")

EVENT = "concluding"


async def conclude_stored(
    store: ScanStore, scan: Scan, *, clock: Clock, actor: str, term: int | None
) -> Ending | None:
    """Return the ending of an ANALYZING scan, or None when it has to be fetched again.

    It is tried once per attempt, and said so before: evidence that ends whoever judges it would
    otherwise end every leader in its turn.
    """
    if any(
        (said.event, said.version) == (EVENT, scan.version) for said in await store.audit(scan.id)
    ):
        return None
    document = await store.evidence(scan.id)
    if document is None:
        return None
    try:
        evidence = msgspec.json.decode(document, type=Evidence)
    except msgspec.MsgspecError:
        # Written by another version of SafeURL.
        _log.warning("conclude.unreadable scan=%s", scan.id)
        return None
    said = "The stored evidence is judged."
    await store.note(scan, event=EVENT, detail=said, now=clock(), actor=actor, term=term)
    return await asyncio.to_thread(concluded, scan, evidence, clock())
