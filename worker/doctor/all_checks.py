"""Runs all checks: the installation first, then the isolation if sandboxes can be started."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from safeurl.bootstrap import utc_now
from safeurl.errors import SandboxUnavailableError
from safeurl.settings import Settings
from worker.doctor.checks import docker_facts, neighbours, services
from worker.doctor.checks.configuration import check_settings
from worker.doctor.checks.fairness import fairness
from worker.doctor.checks.gateway_control import control_socket
from worker.doctor.finding import Finding, Status, failed, passed
from worker.doctor.isolation import ReportFinding, check_isolation
from worker.sandbox.engine import Engine
from worker.sandbox.options import Options, container_options

_ENGINE_S = 10.0
_ADVICE = "Remove that cause first, and run the doctor again."


@dataclass(frozen=True, slots=True)
class _Docker:
    """What the engine answered; a part is None if the engine did not answer it."""

    found: tuple[Finding, ...]
    info: docker_facts.Info | None = None
    image_environment: Sequence[str] | None = None


async def run_checks(
    settings: Settings,
    report: ReportFinding,
    *,
    options: Options = container_options,
    before: Sequence[Finding] = (),
) -> list[Finding]:
    """Run every check, report each finding as soon as it is made, and return them all.

    `options` makes the body of the create request of every container that is started. The
    findings in `before` come first.
    """
    findings: list[Finding] = []

    def add(finding: Finding) -> None:
        findings.append(finding)
        report(finding)

    for finding in before:
        add(finding)
    docker = await asyncio.to_thread(_query_docker, settings)
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
        await neighbours.neighbouring_networks(settings),
        await fairness(settings),
    ):
        add(finding)
    if docker.image_environment is None:
        add(failed("sandbox", "no sandbox could be started, so nothing was tested", _ADVICE))
    else:
        await check_isolation(settings, docker.image_environment, options, add)
    return findings


def overall_status(findings: Sequence[Finding]) -> Status:
    """Return the worst status of the findings."""
    found = {finding.status for finding in findings}
    return next((each for each in (Status.FAIL, Status.WARN) if each in found), Status.PASS)


def _query_docker(settings: Settings) -> _Docker:
    try:
        with Engine(str(settings.docker_socket_path)).client(_ENGINE_S) as client:
            info = client.info()
            found = _info_findings(settings, info)
            try:
                image = client.image(settings.fetcher_image)
            except SandboxUnavailableError as error:
                missing = failed("image", str(error), "Build it: bash docker/build.sh")
                return _Docker((*found, missing), info)
    except SandboxUnavailableError as error:
        # The error says what to do.
        return _Docker((failed("docker", str(error), ""),))
    size_mib = int(image.get("Size") or 0) // 1024**2
    there = passed("image", f"{settings.fetcher_image} is here, {size_mib} MiB")
    return _Docker((*found, there), info, image["Config"].get("Env") or ())


def _info_findings(settings: Settings, info: docker_facts.Info) -> tuple[Finding, ...]:
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
