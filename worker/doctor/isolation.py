"""Tries the isolation: sandboxes of the real image, and what the doctor holds out to them."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from safeurl.errors import EgressUnavailableError
from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, warned
from worker.doctor.honeypot import held_out
from worker.doctor.own_gateway import own_gateway
from worker.doctor.probe_runner import Trials
from worker.doctor.suite import Ward, Work
from worker.egress.client.client import EgressClient
from worker.sandbox.options import Options
from worker.tasks import make_sandbox

Tell = Callable[[Finding], None]

#: For all containers together; the checks before them and the clean-up take the rest of a minute.
_PATIENCE_S: Final = 40.0
_ABREAST: Final = 3
#: With less processor time than this the probes would be slow, not better caged.
_LEAST_CPUS: Final = 0.5


async def try_isolation(
    settings: Settings, image_environment: Sequence[str], options: Options, tell: Tell
) -> None:
    """Run every vector and tell what was found, in the same order each time.

    Containers and sockets are gone when this returns or is cancelled.
    """
    async with AsyncExitStack() as stack:
        lure = await stack.enter_async_context(held_out())
        own = gateway = None
        if settings.container_network == "none":
            try:
                own = await stack.enter_async_context(own_gateway(settings, lure.dns_port))
            except EgressUnavailableError as error:
                tell(failed("gateway-own", str(error), "Mend it: names were not tried."))
            gateway = await _running(settings) or own
        else:
            advice = "Set CONTAINER_NETWORK=none."
            tell(warned("gateway-own", "not tried: sandboxes have no gateway on a bridge", advice))
        trials = _trials(settings, options)
        ward = Ward(settings, trials, image_environment, lure, gateway, own)
        await _run_all(ward.work(), tell)


async def _run_all(work: Sequence[Work], tell: Tell) -> None:
    """Run the trials beside each other; whatever ends this early ends them, too."""
    trials = [asyncio.create_task(each) for each in work]
    try:
        for trial in trials:
            for finding in await trial:
                tell(finding)
    finally:
        for trial in trials:
            trial.cancel()
        await asyncio.gather(*trials, return_exceptions=True)


async def _running(settings: Settings) -> EgressClient | None:
    """Return the installation's own gateway if it answers: it is the one that scans go through."""
    client = EgressClient(settings.gateway_dir)
    try:
        await client.ping()
    except EgressUnavailableError:
        return None
    return client


def _trials(settings: Settings, options: Options) -> Trials:
    real = make_sandbox(settings).settings
    return Trials(
        settings=replace(real, cpus=max(real.cpus, _LEAST_CPUS)),
        socket_path=str(settings.docker_socket_path),
        options=options,
        token=secrets.token_hex(4),
        until=time.monotonic() + _PATIENCE_S,
        slots=asyncio.Semaphore(_ABREAST),
    )
