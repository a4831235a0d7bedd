"""Runs a gateway for the doctor alone: it resolves names at the fake DNS server."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

from safeurl.errors import EgressUnavailableError
from safeurl.settings import Settings
from worker.egress.client.client import EgressClient

_START_S: Final = 15.0
_STOP_S: Final = 5.0
_POLL_S: Final = 0.05
#: The kernel sends SIGTERM to this process when the doctor ends (prctl's PR_SET_PDEATHSIG).
_PROGRAM: Final = """
import ctypes, os, signal
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
from safeurl.settings import Settings
from worker.egress.gateway.server import run_gateway
run_gateway(Settings.read(os.environ))
"""


@asynccontextmanager
async def own_gateway(settings: Settings, resolver_port: int) -> AsyncIterator[EgressClient]:
    """Run a gateway that resolves names at this port of loopback; remove its folder afterwards.

    Raise `EgressUnavailableError` if the gateway does not start.
    """
    with _folder(settings) as folder, tempfile.TemporaryFile() as log:
        environ = _environ(folder, resolver_port)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM), env=environ, stdout=log, stderr=log
        )
        try:
            client = EgressClient(Path(folder))
            await _until_it_answers(client, process, log)
            yield client
        finally:
            await _stop(process)


def _environ(folder: str, resolver_port: int) -> dict[str, str]:
    """Return our environment without our settings: the gateway needs no secret."""
    ours = {str(field.alias) for field in Settings.model_fields.values()}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    resolver = f"127.0.0.1:{resolver_port}"
    return kept | {"SAFEURL_STATE_DIR": folder, "EGRESS_DIR": folder, "EGRESS_RESOLVER": resolver}


def _folder(settings: Settings) -> tempfile.TemporaryDirectory[str]:
    """Create a folder from which the engine can mount.

    In a container, the state folder is a volume that has another path on the host; EGRESS_DIR
    has the same path on both sides. Outside of a container, EGRESS_DIR may belong to another user
    and is not needed.
    """
    if settings.egress_dir:
        with suppress(OSError):
            return tempfile.TemporaryDirectory(prefix="doctor-", dir=settings.gateway_dir)
    state_dir = settings.state_dir
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryDirectory(prefix="doctor-", dir=state_dir)
    except OSError as error:
        raise EgressUnavailableError(f"{state_dir} cannot be written: {error.strerror}.") from error


async def _until_it_answers(
    client: EgressClient, process: asyncio.subprocess.Process, log: IO[bytes]
) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            await client.ping()
        except EgressUnavailableError:
            if process.returncode is None and time.monotonic() < deadline:
                await asyncio.sleep(_POLL_S)
                continue
            log.seek(0)
            result_of = log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise EgressUnavailableError(" ".join(["It did not start.", *result_of])) from None
        return


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
