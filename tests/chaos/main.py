"""The chaos run: everything is started, broken while scans flow, healed, drained and checked."""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

from safeurl.bootstrap import make_queue
from tests.chaos import checks, figures
from tests.chaos.checks import Check, Found
from tests.chaos.faults import Chaos
from tests.chaos.fleet import Fleet, Plan, stop_on_signals
from tests.chaos.processes import adopt_orphans
from tests.chaos.recovery import Recovery, recoveries
from tests.chaos.sampler import Sampler
from tests.chaos.sandbox_watch import SandboxWatch
from tests.chaos.submitter import Submitter, pages
from worker.sandbox.labels import is_unclaimed

#: The bound that the project promises.
_RECOVERY_S = 60.0
#: After the last submit, faults continue for at most this time.
_AFTERMATH_S = 30.0
#: A reaper's turn, the youth of a container that it leaves alone, and its work.
_REAP_S = 60.0
_START_S = 120.0
#: What a tree that was killed last of all needs to be there again, its longest pause included.
_WHOLE_S = 45.0


def main() -> int:
    """Run it; return 0 if every check passes, 1 if one fails, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="tests/chaos/run.sh")
    parser.add_argument("scans", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("mode", nargs="?", choices=("sqlite", "sqld"), default="sqlite")
    parser.add_argument("--lease", type=int, default=30, help="seconds")
    parser.add_argument("--pool", default="2", help="POOL_SIZE of each host; 0 for none")
    parser.add_argument("--keep", action="store_true", help="leave the folder behind")
    given = parser.parse_args()
    if os.geteuid() != 0:
        say("The chaos starts Docker engines of its own and has to be root.")
        return 2
    adopt_orphans()
    folder = Path(tempfile.mkdtemp(prefix="safeurl-chaos-"))
    # Retries in step with the lease, so that a short run shows them all.
    first = max(1, given.lease // 6)
    plan = Plan(
        scans=given.scans,
        seed=given.seed,
        mode=given.mode,
        lease_s=given.lease,
        backoff_s=(first, first * 2, first * 4),
        folder=folder,
        pool_size=given.pool,
    )
    say(f"chaos: {plan.scans} scans, seed {plan.seed}, {plan.mode}, lease {plan.lease_s} s")
    try:
        return asyncio.run(_run(plan))
    except asyncio.CancelledError:
        say("told to stop: everything that was started has been ended")
        return 2
    finally:
        if given.keep:
            say(f"logs and database: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def say(line: object) -> None:
    """Print a line at once, so that an interrupted run has shown its results."""
    print(line, flush=True)  # noqa: T201 - a command prints


async def _run(plan: Plan) -> int:
    task = asyncio.current_task()
    assert task is not None
    stop_on_signals(task)
    fleet = Fleet(plan)
    try:
        await asyncio.wait_for(fleet.start(), _START_S)
        with pages() as server:
            run = _Run(fleet, Submitter(fleet.systems[0].settings, server, plan.seed))
            return await run.through()
    finally:
        fleet.close()


class _Run:
    """One run from the first submit to the last check."""

    def __init__(self, fleet: Fleet, submitter: Submitter) -> None:
        self._fleet = fleet
        self._plan = fleet.plan
        self._submitter = submitter
        self._chaos = Chaos(fleet, fleet.plan.seed)
        self._watch = SandboxWatch(fleet.engines)
        queue = make_queue(fleet.systems[0].settings)
        self._sampler = Sampler(fleet, queue, lambda: self._chaos.shaken_at)
        self._chaos_s = 0.0

    async def through(self) -> int:
        """Run everything and print the results."""
        began = time.monotonic()
        sampling = asyncio.create_task(self._sampler.run())
        try:
            await self._break_while_scans_flow()
            self._chaos_s = time.monotonic() - began
            drained = await self._wait_until_final(self._plan.drain_s)
            seconds = time.monotonic() - began
        finally:
            sampling.cancel()
        say(f"drained after {seconds - self._chaos_s:.1f} s" if drained else "did not drain")
        found = await asyncio.to_thread(Found.read, self._fleet.record)
        recovered = recoveries(found.trails.values(), self._chaos.kills)
        results = await self._checks(found, recovered)
        self._print(found, seconds, recovered)
        say("checks:")
        for each in results:
            say(each)
        failed = sum(bool(each.faults) for each in results)
        say(f"{failed} checks FAILED" if failed else "all checks hold")
        return 1 if failed else 0

    async def _break_while_scans_flow(self) -> None:
        stopping = asyncio.Event()
        submits = self._submitter.run(self._plan.scans, lambda: self._sampler.open)
        bound_s = _START_S + 6.0 * self._plan.scans
        chaos = asyncio.create_task(self._chaos.run(stopping))
        try:
            async with asyncio.timeout(bound_s):
                await _unless_ended(submits, chaos)
            await self._wait_until_final(_AFTERMATH_S)
        except TimeoutError:
            say(f"not all was submitted within {bound_s:.0f} s")
        finally:
            stopping.set()
            await chaos

    async def _wait_until_final(self, bound_s: float) -> bool:
        until = time.monotonic() + bound_s
        looks = self._sampler.looks
        while time.monotonic() < until:
            # Twice: the first look may have begun before we asked.
            if self._sampler.looks > looks + 1 and not self._sampler.open:
                return True
            await asyncio.sleep(0.2)
        return False

    async def _checks(self, found: Found, recovered: list[Recovery]) -> list[Check]:
        plan, sampler, chaos = self._plan, self._sampler, self._chaos
        failover_s = 2 * plan.term_s
        return [
            checks.one_end(found),
            checks.good_ends(found, plan.max_retries),
            checks.legal_paths(found),
            checks.attempt_rows(found),
            await asyncio.to_thread(self._seals),
            await self._sandboxes(),
            checks.within(
                "4 no scan idles once a leader can be",
                sampler.worst_calm_s,
                failover_s + 8.0,
                f" {sampler.worst_calm}",
            ),
            checks.within(
                "4 no scan idles for long, whatever is broken",
                sampler.worst_s,
                plan.longest_idle_s,
            ),
            checks.no_long_hold(found, plan.longest_hold_s),
            checks.one_leader(found),
            checks.deposed_are_refused(found, chaos.deposed),
            checks.failover(chaos.failovers, failover_s),
            checks.all_present(found, self._submitter.acknowledged),
            checks.within(
                "recovery from a killed worker",
                recovered[-1].seconds if recovered else 0.0,
                _RECOVERY_S,
            ),
            checks.enough_broken(chaos.counts, len(recovered), plan.scans),
            await self._clean_end(),
        ]

    def _seals(self) -> Check:
        ended = self._fleet.systems[0].run("audit", "verify")
        # Warnings go to stderr even where all is well; the faults are on stdout.
        said = (ended.stdout.strip() or ended.stderr.strip()).splitlines()
        faults = tuple(said or ("It said nothing.",)) if ended.returncode else ()
        return Check("2 seals verify", f"safeurl audit verify: {ended.returncode}", faults)

    async def _sandboxes(self) -> Check:
        """Check that no attempt had two, and that none is left once reapers had their turn."""
        began = time.monotonic()
        left = await self._sandboxes_left()
        while left and time.monotonic() - began < _REAP_S:
            await asyncio.sleep(1.0)
            left = await self._sandboxes_left()
        took = time.monotonic() - began
        watch = self._watch
        counted = (
            f"{watch.started} ran, {len(watch.twins)} twins, {len(watch.overlaps)} while an older "
            f"attempt's did, {len(left)} left after {took:.0f} s"
        )
        return Check("3 one sandbox per attempt", counted, (*watch.twins, *left))

    async def _sandboxes_left(self, *, pool: bool = False) -> list[str]:
        """Return the containers of attempts, and with `pool` those that wait in a pool, too."""
        lists = [await asyncio.to_thread(engine.sandboxes) for engine in self._fleet.engines]
        names = (name for found in lists for name in found)
        return [f"left: {name}" for name in names if pool or not is_unclaimed(name)]

    async def _clean_end(self) -> Check:
        unasked = [
            f"tree {tree.mark} ended with {code} by itself, {count} times"
            for tree in self._fleet.trees
            for code, count in tree.unasked.items()
        ]
        await self._fleet.wait_until_whole(_WHOLE_S)
        statuses = await self._fleet.stop_trees()
        faults = [f"a tree ended with {code}" for code in statuses if code != 0]
        faults += await asyncio.to_thread(self._fleet.leftovers)
        faults += await self._sandboxes_left(pool=True)
        counted = f"{len(statuses)} trees told to stop"
        return Check("workers end well and leave nothing", counted, (*unasked, *faults))

    def _print(self, found: Found, seconds: float, recovered: list[Recovery]) -> None:
        submitter, sampler = self._submitter, self._sampler
        submits = (
            f"  submits: {len(submitter.acknowledged)} acknowledged, {submitter.refused} refused, "
            f"{submitter.unqueued} without a queue, {submitter.duplicates} duplicate wake-ups"
        )
        idle = (
            f"  idle: worst {sampler.worst_s:.1f} s, of it in calm {sampler.worst_calm_s:.1f} s, "
            f"{sampler.samples} samples"
        )
        for line in (
            "figures:",
            *figures.of_scans(found, seconds),
            submits,
            figures.of_faults(self._chaos.counts, self._chaos_s),
            figures.of_recovery(recovered),
            idle,
            figures.of_logs(self._fleet),
        ):
            say(line)


async def _unless_ended(work: Coroutine[None, None, None], other: asyncio.Task[None]) -> None:
    """Await the work; an error of the other task ends it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            other.result()
        await task
    finally:
        task.cancel()


if __name__ == "__main__":
    sys.exit(main())
