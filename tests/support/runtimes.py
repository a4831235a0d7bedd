"""The OCI runtimes that the isolation is tested under; the test machine has to have both."""

from collections.abc import Iterable

import pytest

from tests.support.images import docker_client
from worker.sandbox.runtime import AUTO, RUNC, RUNSC, Runtimes, choose

RUNTIMES = (RUNC, RUNSC)


def engine_runtimes() -> Runtimes:
    """Return what the engine of the tests has."""
    with docker_client() as client:
        return Runtimes.read(client.info())


def need(runtime: str) -> str:
    """Return the runtime; fail, rather than skip, where the engine does not have it."""
    choice = choose(AUTO, "none", engine_runtimes())
    if runtime == RUNSC and choice.name != RUNSC:
        pytest.fail(
            "The engine has no runtime runsc (gVisor) that is fit for sandboxes. "
            f"As root, `bash docker/gvisor.sh` installs and registers it. {choice.warning}"
        )
    return runtime


def under(everything: Iterable[str], chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Pair every case with runc, and the chosen ones with gVisor, which is slower, as well."""
    return [*((case, RUNC) for case in everything), *((case, RUNSC) for case in chosen)]
