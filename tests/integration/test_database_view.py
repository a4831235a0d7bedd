"""A scan that ends between the reads of a view, at each of them: the view is of one moment."""

import asyncio
from pathlib import Path

import pytest

from safeurl.adapters.sql.statements import attempts, audit, scans
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.model.scan import Scan
from safeurl.state import State
from tests.contract.test_view import check_is_of_one_moment
from tests.support.builders import NOW, WORKER, brought_to, make_ending

_READS = {
    "result": scans.RESULT,
    "evidence": scans.EVIDENCE,
    "artefacts": scans.ARTEFACTS,
    "audit": audit.AUDIT,
    "attempts": attempts.ATTEMPTS,
}


async def _finish(path: Path, scan: Scan) -> None:
    other = SQLiteStore(path)
    try:
        assert await other.finish(scan, make_ending(scan), now=NOW, actor=WORKER) is not None
    finally:
        await other.close()


@pytest.mark.parametrize("read", _READS)
async def test_a_scan_that_ends_while_it_is_read(tmp_path: Path, read: str) -> None:
    """SQLite calls back as a statement begins; another connection ends the scan right then."""
    path = tmp_path / "safeurl.db"
    store = SQLiteStore(path)
    await store.migrate()
    scan = await brought_to(store, State.ANALYZING)
    begin = _READS[read].partition(":id")[0]
    ended: list[str] = []

    def on_statement(sql: str) -> None:
        # In the connection's own thread, which waits meanwhile.
        if sql.startswith(begin) and not ended:
            ended.append(sql)
            asyncio.run(_finish(path, scan))

    async with store._database._driver() as driver:  # type: ignore[attr-defined]  # noqa: SLF001 - no port tells when a statement begins
        await driver.set_trace_callback(on_statement)
    before = await store.view(scan.id)
    assert len(ended) == 1
    assert before is not None
    check_is_of_one_moment(before)
    assert (before.scan, before.result) == (scan, None)
    after = await store.view(scan.id)
    assert after is not None
    check_is_of_one_moment(after)
    assert after.scan.state is State.COMPLETED
    await store.close()
