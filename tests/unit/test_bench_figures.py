"""The bench computes its figures from samples as it says, and its large database is a real one."""

import asyncio
import math
import struct
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from safeurl.adapters.sqlite import SQLiteStore
from safeurl.bootstrap import utc_now
from safeurl.state import State
from tests.bench.compare import taskstats
from tests.bench.compare.accounting import Usage
from tests.bench.compare.chart import chart
from tests.bench.compare.final_watch import final_watch
from tests.bench.compare.lab import RUN_UP, Sample, p50_p95, sustained
from tests.bench.compare.report import Grid, grids
from tests.bench.compare.results import COLD, LOOP, Row, Table
from tests.bench.growth.builder import build
from tests.support.builders import make_scan
from tests.support.egress import until
from tests.support.finished_scan import Life, finish_as_phishing

_SCANS = 300


def _row(kind: str, parallel: int, per_second: float, cpu_s: float) -> Row:
    usage = Usage(client=cpu_s, engine=0.0, runtime=0.0, sandbox=0.0, machine=cpu_s)
    sample = Sample(scans=10, per_second=per_second, latencies_ms=[100.0] * 10, cpu=usage)
    return Row(kind, f"{kind} <{parallel}>", parallel, [sample])


def test_a_sustained_rate_leaves_out_what_was_ready_before() -> None:
    """Scans that found a sandbox ready end at once and do not count as speed."""
    at_once = [0.0] * RUN_UP
    steadily = [0.5 * n for n in range(1, 41)]
    assert sustained(at_once + steadily) == pytest.approx(2.0, rel=0.05)
    assert math.isnan(sustained([1.0]))


def test_ratios_are_those_of_the_best_rival() -> None:
    """The loop with the most scans per second is the rival, whatever its parallelism."""
    table = Table(
        "runc", [_row(COLD, 5, 6.0, 2.0), _row(LOOP, 1, 2.0, 3.0), _row(LOOP, 4, 3.0, 4.0)]
    )
    ratios = dict(table.ratios())
    assert ratios["throughput, times the best shell loop"] == pytest.approx(2.0)
    assert ratios["CPU per scan, part of that shell loop's"] == pytest.approx(0.5)


def test_a_part_that_could_not_be_read_gives_no_figure() -> None:
    """A sum with a part missing would look like a saving."""
    assert Usage(client=1.0, engine=1.0, runtime=None, sandbox=1.0).accounted is None
    assert _row(LOOP, 1, 1.0, 5.0).cpu_ms == pytest.approx(500.0)


def test_few_values_have_percentiles_too() -> None:
    """One value is all there is to say; none is not a number."""
    assert p50_p95([3.0]) == (3.0, 3.0)
    assert math.isnan(p50_p95([])[0])


def test_tables_and_picture_are_well_formed() -> None:
    """Names with special characters break neither of them."""
    table = Table("runc", [_row(COLD, 5, 6.0, 2.0), _row(LOOP, 1, 2.0, 3.0)])
    picture = ET.fromstring(chart([table]))  # noqa: S314 - our own picture
    assert "cold <5>" in {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    made = grids(table)
    assert all(isinstance(grid, Grid) and grid.text() and grid.markdown() for grid in made)
    assert all({len(row) for row in grid.rows} == {len(grid.head)} for grid in made)


def test_records_of_ended_tasks_are_read() -> None:
    """A message of the kernel gives thread group, name, executable and nanoseconds."""
    stats = bytearray(432)
    struct.pack_into("=H", stats, 0, 14)
    struct.pack_into("=Q", stats, 72, 2_500_000_000)
    stats[80:84] = b"runc"
    struct.pack_into("=I", stats, 368, 77)
    struct.pack_into("=Q", stats, 392, 99)
    inner = struct.pack("=HHI", 8, 1, 77) + struct.pack("=HH", 4 + len(stats), 3) + bytes(stats)
    body = struct.pack("=HH", 4 + len(inner), 4) + inner
    message = struct.pack("=IHHIIBBH", 20 + len(body), 30, 0, 0, 0, 2, 1, 0) + body
    (ended,) = taskstats.parse(message)
    assert (ended.tgid, ended.comm, ended.exe_inode, ended.cpu_s) == (77, "runc", 99, 2.5)
    assert list(taskstats.parse(message[:40])) == []


async def test_the_large_database_is_what_finished_scans_leave(tmp_path: Path) -> None:
    """Its contents have no fault, its counts are right, and every scan can be shown."""
    path = tmp_path / "large.db"
    await asyncio.to_thread(build, path, _SCANS)
    store = SQLiteStore(path)
    try:
        assert await store.content_faults() == []
        assert (await store.metrics(now=utc_now())).pending == 0
        page = await store.page(limit=_SCANS + 1)
        assert len(page) == _SCANS
        assert {scan.state for scan in page} == {State.COMPLETED}
        view = await store.view(page[0].id)
        assert view is not None
        assert view.result is not None
        assert [each.attempt for each in await store.attempts(page[0].id)] == [1]
        assert len(await store.audit(page[0].id)) == 5
    finally:
        await store.close()


async def test_a_scan_is_seen_when_its_last_write_is_done(tmp_path: Path) -> None:
    """Not before, and also when it is asked for only then."""
    store = SQLiteStore(tmp_path / "watched.db")
    try:
        await store.migrate()
        waiting, done = make_scan(), make_scan()
        await store.add([waiting, done])
        with final_watch(tmp_path / "watched.db") as watch:
            watch.add(waiting.id)
            began_s = time.time()
            await finish_as_phishing(store, done.id, Life())
            watch.add(done.id)
            await asyncio.to_thread(until, lambda: done.id in watch.seen_s)
            assert began_s <= watch.seen_s[done.id] <= time.time()
            assert waiting.id not in watch.seen_s
    finally:
        await store.close()
