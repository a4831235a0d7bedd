"""Runs the comparison: the ways take turns, round by round, under one runtime after the other."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from safeurl.settings import Settings
from tests.bench.compare import bare_runc, tutorial_image
from tests.bench.compare.accounting import Meter
from tests.bench.compare.installation import has_pool
from tests.bench.compare.lab import Lab, Way, page_process
from tests.bench.compare.results import COLD, FLOOR, LOOP, TUTORIAL, WARM, Row, Table
from tests.bench.compare.safeurl import SafeUrl, SteadyPlan
from tests.bench.compare.shell_loop import ShellLoop
from tests.bench.compare.tutorial import Tutorial
from tests.support.egress import GatewayProcess
from tests.support.runtimes import engine_runtimes
from tests.support.system import bridge_gateway
from worker.egress.protocol import Caps, EgressPolicy
from worker.sandbox.runtime import AUTO, RUNC, RUNSC, choose_runtime

Say = Callable[[str], None]

#: Of the capacity, in the measurement below it.
_SHARE = 0.6
#: A whole run is shorter.
_GATEWAY_S = 3600.0
_MANY = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int
    #: Scans of each way in each round; slow ways do fewer.
    scans: int
    steady_s: float
    idle_s: float
    burst: int
    is_random: bool = False
    #: Numbers of `docker run` at a time.
    loops: tuple[int, ...] = (1, 2, 4, 6)
    with_memory: bool = True
    #: Whether also SafeURL without its pool is measured below its capacity, and its memory.
    with_cold: bool = True


FULL = Plan(rounds=3, scans=54, steady_s=30.0, idle_s=30.0, burst=50)
QUICK = Plan(rounds=1, scans=24, steady_s=8.0, idle_s=6.0, burst=50, with_cold=not has_pool())


def _under(plan: Plan, runtime: str) -> Plan:
    """Return the plan for a runtime: containers of gVisor take several times as long."""
    if runtime != RUNSC:
        return plan
    plan = replace(plan, rounds=1, scans=max(8, plan.scans // 3), steady_s=plan.steady_s / 2)
    if plan.idle_s >= FULL.idle_s:
        return replace(plan, idle_s=plan.idle_s / 2)
    return replace(plan, loops=(1, 4), with_memory=False, with_cold=not has_pool())


def runtimes() -> list[str]:
    """Return the runtimes that can be measured here."""
    has_gvisor = choose_runtime(AUTO, "none", engine_runtimes()).name == RUNSC
    return [RUNC, RUNSC] if has_gvisor else [RUNC]


def compare(runtime: str, plan: Plan, meter: Meter, say: Say) -> Table:
    """Measure every way under one runtime."""
    table = Table(runtime)
    plan = _under(plan, runtime)
    with ExitStack() as stack:
        lab = stack.enter_context(_lab(runtime, meter))
        ways = list(_ways(lab, plan, table, stack))
        rows = [Row(kind, way.name, way.parallel) for kind, way in ways]
        table.rows = rows
        pairs = list(zip(rows, (way for _, way in ways), strict=True))
        for number in range(plan.rounds):
            # Each round begins with another way, so that no way always follows the same one.
            for row, way in pairs[number:] + pairs[:number]:
                with _reported(table, row, say):
                    sample = way.run(lab, _scans(row, plan))
                    row.samples.append(sample)
                    rate = f"{sample.per_second:.2f} scans/s, {sample.lost} lost"
                    say(f"{runtime} round {number + 1} of {plan.rounds}: {row.name}: {rate}")
        if plan.with_memory:
            chosen = [pair for pair in pairs if plan.with_cold or pair[0].kind != COLD]
            _measure_memory(lab, table, chosen, say)
        _measure_steady(lab, plan, table, pairs, say)
    return table


@contextmanager
def _reported(table: Table, row: Row, say: Say) -> Iterator[None]:
    """Report the failure of one way, so that the figures of the others are not lost."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a rival's parts raise
        reason = f"{row.name} failed: {type(error).__name__}: {error}"
        table.left_out.append(reason)
        say(f"{table.runtime}: {reason}")


def _scans(row: Row, plan: Plan) -> int:
    """Return how many scans give a rate of a few per cent; one at a time takes long."""
    share = {LOOP: 1 / 3 if row.parallel == 1 else 2 / 3, TUTORIAL: 1 / 2, FLOOR: 2 / 3}
    if row.kind == TUTORIAL and row.parallel == 1:
        return max(5, plan.scans // 4)
    # Scans that run at the same time end at the same time: a few such groups make a rate.
    return max(3 * row.parallel, round(plan.scans * share.get(row.kind, 1)))


@contextmanager
def _lab(runtime: str, meter: Meter) -> Iterator[Lab]:
    host = bridge_gateway()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, page_pid = stack.enter_context(page_process(host))
        meter.own_pids.add(page_pid)
        lab = Lab(
            folder=folder,
            url=url,
            host=host,
            runtime=runtime,
            meter=meter,
            defaults=Settings.read({}),
        )
        if runtime == RUNSC:
            gateway = stack.enter_context(GatewayProcess(folder / "gateway"))
            meter.own_pids |= {each.pid for each in gateway.processes()}
            caps = Caps(
                max_connections=65_536,
                max_concurrent=2_048,
                max_bytes_in=_MANY,
                max_bytes_out=_MANY,
                bytes_per_second=_MANY,
            )
            policy = EgressPolicy(allow_cidrs=(f"{host}/32",), caps=caps)
            lab = replace(lab, egress_dir=gateway.open(policy, deadline_s=_GATEWAY_S)[1])
        yield lab


def _ways(lab: Lab, plan: Plan, table: Table, stack: ExitStack) -> Iterator[tuple[str, Way]]:
    concurrency = lab.defaults.worker_concurrency
    if has_pool():
        yield WARM, SafeUrl("auto", concurrency)
    else:
        table.left_out.append("SafeURL warm: this version has no setting POOL_SIZE")
    yield COLD, SafeUrl("0", concurrency)
    for parallel in plan.loops:
        yield LOOP, ShellLoop(parallel)
    if lab.egress_dir is not None:
        table.left_out.append(
            "the tutorial's job and runc alone: the engine's runsc has no network, and they cannot "
            "use a gateway; the shell loop here has SafeURL's gateway instead of the bridge"
        )
        return
    if reason := tutorial_image.reason_without():
        table.left_out.append(f"the tutorial's job: {reason}")
    else:
        image = stack.enter_context(tutorial_image.tutorial_image())
        for parallel in (1, concurrency):
            yield TUTORIAL, Tutorial(parallel, image)
    if reason := bare_runc.reason_without():
        table.left_out.append(f"runc alone: {reason}")
    else:
        bundle = stack.enter_context(bare_runc.unpacked(lab))
        for parallel in (1, 2):
            yield FLOOR, bare_runc.BareRunc(parallel, bundle)


def _measure_memory(lab: Lab, table: Table, pairs: list[tuple[Row, Way]], say: Say) -> None:
    """Run the ways that the table of memory shows once more, with a sampler beside them."""
    lab.meter.with_memory = True
    try:
        for row, way in pairs:
            if row.kind not in {WARM, COLD} and row.parallel > 1:
                continue
            with _reported(table, row, say):
                row.memory = way.run(lab, 2 * row.parallel).cpu
                say(f"{lab.runtime} memory: {row.name}")
    finally:
        lab.meter.with_memory = False


def _measure_steady(
    lab: Lab, plan: Plan, table: Table, pairs: list[tuple[Row, Way]], say: Say
) -> None:
    for row, way in pairs:
        if not isinstance(way, SafeUrl) or not row.samples:
            continue
        if row.kind == COLD and not plan.with_cold:
            table.left_out.append(f"{row.name} below its capacity: only in a full run")
            continue
        steady = SteadyPlan(
            per_second=row.per_second * _SHARE,
            seconds=plan.steady_s,
            ramp_s=plan.steady_s / 3,
            idle_s=plan.idle_s,
            burst=plan.burst,
            is_random=plan.is_random,
        )
        with _reported(table, row, say):
            table.steady[row.kind] = way.below_capacity(lab, steady)
        say(f"{lab.runtime} below capacity: {row.name}")
