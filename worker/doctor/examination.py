"""The whole examination: the installation first, then the isolation where Docker allows it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from safeurl.bootstrap import utc_now
from safeurl.errors import SandboxUnavailableError
from safeurl.settings import Settings
from worker.doctor.checks import docker_facts, services, surroundings
from worker.doctor.checks.configuration import check_settings
from worker.doctor.checks.fairness import fairness
from worker.doctor.checks.gateway_command import control_socket
from worker.doctor.finding import Finding, Status, failed, passed
from worker.doctor.isolation import Tell, try_isolation
from worker.sandbox.engine import Engine
from worker.sandbox.options import Options, container_options

_ENGINE_S = 10.0
_UNTRIED = "Mend that first, and run the doctor again."


@dataclass(frozen=True, slots=True)
class _Docker:
    """What the engine said; each part None where it did not."""

    found: tuple[Finding, ...]
    info: docker_facts.Info | None = None
    image_environment: Sequence[str] | None = None


async def examine(
    settings: Settings,
    tell: Tell,
    *,
    options: Options = container_options,
    before: Sequence[Finding] = (),
) -> list[Finding]:
    """Run every check, tell each finding when it is made, and return them all.

    `options` makes the body of the create request of every container that is started; what was
    found `before` comes first.
    """
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        tell(finding)

    for finding in before:
        note(finding)
    docker = await asyncio.to_thread(_ask_docker, settings)
    for finding in (
        *check_settings(settings),
        *docker.found,
        services.socket_mode(settings.docker_socket_path),
        services.state_folder(settings),
        services.disk(settings, docker.info),
        await services.database(settings),
        await services.queue(settings),
        await services.gateway(settings),
        await asyncio.to_thread(control_socket, settings),
        await surroundings.neighbours(settings),
        await fairness(settings),
    ):
        note(finding)
    if docker.image_environment is None:
        note(failed("sandbox", "no sandbox could be started, so nothing was tried", _UNTRIED))
    else:
        await try_isolation(settings, docker.image_environment, options, note)
    return findings


def worst(findings: Sequence[Finding]) -> Status:
    """Return how it stands on the whole."""
    seen = {finding.status for finding in findings}
    return next((each for each in (Status.FAIL, Status.WARN) if each in seen), Status.PASS)


def _ask_docker(settings: Settings) -> _Docker:
    try:
        with Engine(str(settings.docker_socket_path)).client(_ENGINE_S) as client:
            info = client.info()
            found = _judge_info(settings, info)
            try:
                image = client.image(settings.fetcher_image)
            except SandboxUnavailableError as error:
                missing = failed("image", str(error), "Build it: bash docker/build.sh")
                return _Docker((*found, missing), info)
    except SandboxUnavailableError as error:
        return _Docker((failed("docker", str(error), "Start Docker, or set DOCKER_SOCKET_PATH."),))
    size_mib = int(image.get("Size") or 0) // 1024**2
    there = passed("image", f"{settings.fetcher_image} is here, {size_mib} MiB")
    return _Docker((*found, there), info, image["Config"].get("Env") or ())


def _judge_info(settings: Settings, info: docker_facts.Info) -> tuple[Finding, ...]:
    version = f"version {info.get('ServerVersion')} answers on {settings.docker_socket_path}"
    return (
        passed("docker", version),
        docker_facts.cgroups(info),
        docker_facts.seccomp(info),
        docker_facts.runtime(settings, info),
        docker_facts.user_namespaces(info),
        docker_facts.sandbox_users(settings, info, services.accounts()),
        docker_facts.clock(info, utc_now()),
    )
