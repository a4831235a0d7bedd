"""The OCI runtimes that the isolation tests use; the test machine must have both."""

from collections.abc import Iterable

import pytest

from tests.support.images import docker_client
from worker.sandbox.runtime import AUTO, RUNC, RUNSC, Runtimes, choose_runtime

RUNTIMES = (RUNC, RUNSC)


def engine_runtimes() -> Runtimes:
    """Return the runtimes of the tests' engine."""
    with docker_client() as client:
        return Runtimes.read(client.info())


def need(runtime: str) -> str:
    """Return the runtime; fail, and do not skip, if the engine does not have it."""
    choice = choose_runtime(AUTO, "none", engine_runtimes())
    if runtime == RUNSC and choice.name != RUNSC:
        pytest.fail(
            "The engine has no runtime runsc (gVisor) that is fit for sandboxes. "
            f"As root, `bash docker/gvisor.sh` installs and registers it. {choice.warning}"
        )
    return runtime


def under(everything: Iterable[str], chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Pair every case with runc, and the chosen ones also with gVisor, which is slower."""
    return [*((case, RUNC) for case in everything), *((case, RUNSC) for case in chosen)]
