"""Concluding a lost worker's scan: it ends for all evidence, and happens only once."""

import asyncio
import multiprocessing
import signal
from datetime import datetime, timedelta

import msgspec

from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.attempt import FinalRecord
from safeurl.model.report import Evidence, Hop
from safeurl.model.scan import Scan
from safeurl.state import State
from tests.support.builders import NOW, analysed, brought_to, make_ending
from worker.attempt.resume import EVENT, conclude_stored

_EVIDENCE = msgspec.json.encode(
    Evidence(hops=(Hop(url="https://example.com/", status=200, http_version="1.1"),))
).decode()


async def _left(store: MemoryStore) -> Scan:
    """Return a scan that a worker analysed and left."""
    moved = await analysed(store, await brought_to(store, State.FETCHING), _EVIDENCE)
    assert moved is not None
    return moved


def _judge_for_ever(*_args: object) -> FinalRecord:
    while True:
        pass


def _conclude_for_ever() -> None:
    async def act() -> None:
        store = MemoryStore()
        await conclude_stored(
            store,
            await _left(store),
            clock=lambda: NOW,
            actor="r",
            term=None,
            judge=_judge_for_ever,
            max_cpu_s=0.5,
        )

    asyncio.run(act())


def test_a_judge_that_does_not_end_is_ended_with_its_process() -> None:
    """The process ends and so loses the leadership, but its note stays for the next leader."""
    process = multiprocessing.get_context("fork").Process(target=_conclude_for_ever)
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    assert ended == -signal.SIGPROF


async def test_a_process_that_outlived_its_judging_may_judge_again() -> None:
    """Its note means that the judging began; the record may still have failed afterwards."""
    store = MemoryStore()
    scan = await _left(store)
    survived: set[tuple[str, int]] = set()

    async def conclude(survived: set[tuple[str, int]]) -> FinalRecord | None:
        return await conclude_stored(
            store,
            scan,
            clock=lambda: NOW + timedelta(seconds=1),
            actor="r",
            term=None,
            survived=survived,
        )

    assert await conclude(survived) is not None
    assert await conclude(survived) is not None
    assert await conclude(set()) is None
    notes = [entry for entry in await store.audit(scan.id) if entry.event == EVENT]
    assert len(notes) == 1


async def test_the_judging_is_on_record_before_it_begins() -> None:
    """Without the note, evidence that ends the process would end every leader."""
    told: list[str] = []
    store = MemoryStore()

    def judge(scan: Scan, _evidence: Evidence, _now: datetime) -> FinalRecord:
        told.extend(entry.event for entry in asyncio.run(store.audit(scan.id)))
        return make_ending(scan)

    await conclude_stored(
        store, await _left(store), clock=lambda: NOW, actor="r", term=None, judge=judge
    )
    assert told[-1] == EVENT


async def test_a_process_that_has_judged_in_time_lives_on() -> None:
    """The timer that would end it is off again, whatever it does next."""
    store = MemoryStore()
    await conclude_stored(
        store, await _left(store), clock=lambda: NOW, actor="r", term=None, max_cpu_s=60
    )
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


async def test_evidence_that_is_gone_is_fetched_again() -> None:
    """A deleted row does not end a leader."""

    class Emptied(MemoryStore):
        async def evidence(self, scan_id: str) -> str | None:
            """Find nothing."""
            return await super().evidence(f"not {scan_id}")

    store = Emptied()
    ending = await conclude_stored(
        store, await _left(store), clock=lambda: NOW, actor="r", term=None
    )
    assert ending is None
