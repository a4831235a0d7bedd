"""Tests the isolation with sandboxes of the real image and the doctor's honeypot."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from safeurl.errors import EgressUnavailableError
from safeurl.settings import Settings
from worker.bootstrap import make_sandbox
from worker.doctor.finding import Finding, failed, warned
from worker.doctor.honeypot import open_honeypot
from worker.doctor.own_gateway import own_gateway
from worker.doctor.probe_runner import ProbeRunner
from worker.doctor.suite import CheckCoroutine, Suite
from worker.egress.client.client import EgressClient
from worker.sandbox.options import Options

ReportFinding = Callable[[Finding], None]

#: For all containers together; the other checks and the clean-up use the rest of one minute.
_TOTAL_S: Final = 40.0
_CONCURRENT: Final = 3
#: With less processor time the probes would only be slower; the isolation would be the same.
_LEAST_CPUS: Final = 0.5


async def check_isolation(
    settings: Settings, image_environment: Sequence[str], options: Options, report: ReportFinding
) -> None:
    """Run every isolation check and report the findings, in the same order each time.

    Containers and sockets are removed when this function returns or is cancelled.
    """
    async with AsyncExitStack() as stack:
        honeypot = await stack.enter_async_context(open_honeypot())
        own = gateway = None
        if settings.container_network == "none":
            try:
                own = await stack.enter_async_context(own_gateway(settings, honeypot.dns_port))
            except EgressUnavailableError as error:
                report(failed("gateway-own", str(error), "Remove the cause; no name was tested."))
            gateway = await _running(settings) or own
        else:
            advice = "Set CONTAINER_NETWORK=none."
            report(
                warned("gateway-own", "not tested: sandboxes have no gateway on a bridge", advice)
            )
        runner = _runner(settings, options)
        suite = Suite(settings, runner, image_environment, honeypot, gateway, own)
        await _run_all(suite.work(), report)


async def _run_all(work: Sequence[CheckCoroutine], report: ReportFinding) -> None:
    """Run the checks concurrently; cancel those that remain if this function ends early."""
    runner = [asyncio.create_task(each) for each in work]
    try:
        for trial in runner:
            for finding in await trial:
                report(finding)
    finally:
        for trial in runner:
            trial.cancel()
        await asyncio.gather(*runner, return_exceptions=True)


async def _running(settings: Settings) -> EgressClient | None:
    """Return the gateway that scans use, if it answers."""
    client = EgressClient(settings.gateway_dir)
    try:
        await client.ping()
    except EgressUnavailableError:
        return None
    return client


def _runner(settings: Settings, options: Options) -> ProbeRunner:
    real = make_sandbox(settings).settings
    return ProbeRunner(
        settings=replace(real, cpus=max(real.cpus, _LEAST_CPUS)),
        socket_path=str(settings.docker_socket_path),
        options=options,
        token=secrets.token_hex(4),
        until=time.monotonic() + _TOTAL_S,
        slots=asyncio.Semaphore(_CONCURRENT),
    )
