"""A process that submits and runs scans on an SQLite store as fast as it can, until killed.

`python -m tests.support.churner STATE_DIR` prints the id of each scan once it is accepted. Of
five scans, one stays in each state that is not final, and two complete with an artefact each.
"""

import asyncio
import secrets
import sys
import time
from pathlib import Path

from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.store import Store
from safeurl.settings import Settings
from safeurl.state import Outcome
from tests.support.builders import NOW, WORKER, analyzing, claimed, finished, make_scan

#: Ends by itself if the test is killed.
_LIFE_S = 180.0
_BODY_BYTES = 3000


async def _complete(store: Store, artefacts: FileArtefacts, scan: Scan) -> None:
    body = secrets.token_bytes(_BODY_BYTES)
    sha256 = await artefacts.put(body)
    artefact = Artefact(
        kind="body", sha256=sha256, size_bytes=len(body), media_type="application/octet-stream"
    )
    moved = await store.begin_analysis(
        await claimed(store, scan),
        outcome=Outcome.OK,
        detail=None,
        evidence_json='{"n":1}',
        artefacts=[artefact],
        now=NOW,
        actor=WORKER,
    )
    assert moved is not None
    await finished(store, moved)


async def churn_once(store: Store, artefacts: FileArtefacts) -> list[Scan]:
    """Accept five scans, print their ids, and run four of them."""
    scans = [make_scan() for _ in range(5)]
    await store.add(scans)
    for scan in scans:
        print(scan.id, flush=True)  # noqa: T201 - a command prints
    await claimed(store, scans[1])
    await analyzing(store, await claimed(store, scans[2]))
    for scan in scans[3:]:
        await _complete(store, artefacts, scan)
    return scans


async def main(settings: Settings) -> None:
    """Continue until the time is over."""
    store = SQLiteStore(settings.database_path, retry_for_s=60)
    await store.migrate()
    artefacts = FileArtefacts(settings.artefact_dir)
    deadline = time.monotonic() + _LIFE_S
    while time.monotonic() < deadline:
        await churn_once(store, artefacts)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Settings.read({"SAFEURL_STATE_DIR": str(Path(sys.argv[1]))})))
