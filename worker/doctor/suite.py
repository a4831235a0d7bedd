"""The suite of isolation checks: each runs sandboxes and returns its findings."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from safeurl.address import PolicyOverrides
from safeurl.errors import EgressUnavailableError
from safeurl.model.report_reader import ReportReader
from safeurl.settings import Settings
from worker.attempt.classify import SIGKILL_STATUS
from worker.doctor.checks import gateway_checks, resource_checks
from worker.doctor.checks.isolation_checks import (
    ISOLATION_CHECKS,
    NEIGHBOUR_CHECK,
    SECCOMP_CHECK,
    ExpectedSandbox,
    IsolationCheck,
    connection_checks,
)
from worker.doctor.fake_dns import PRIVATE, PUBLIC, PUBLIC_NAME
from worker.doctor.finding import Evaluation, Finding, failed, finding_from_faults
from worker.doctor.honeypot import DIRECT, Honeypot
from worker.doctor.pool_walls import pool_walls
from worker.doctor.probe_runner import ProbeRun, ProbeRunner
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.networks.local_addresses import host_networks
from worker.egress.protocol import SOCKET_NAME, EgressPolicy
from worker.sandbox.options import ENVIRONMENT
from worker.sandbox.runtime import RUNC

#: Runs one group of checks.
CheckCoroutine = Coroutine[Any, Any, list[Finding]]

_ENDPOINT_S: Final = 60.0
_FETCH_S: Final = 10.0
#: A larger memory bomb would prove the same, and would put more load on the host.
_MAX_MEMORY_MB: Final = 512
#: In a container, which does not see the host's cgroups, only the engine reports that a container
#: ran out of memory. It may lose the report: under gVisor 1 of 6 when several end at once.
_RETRIES_OF_BOMB: Final = 3
#: The memory that the probe itself needs.
_PROBE_MB: Final = 64
_METADATA: Final = (
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    "fd00:ec2::254",
)
_MAX_ADDRESSES: Final = 8
_ALL_ADDRESSES: Final = ("0.0.0.0/0", "::/0")
_ONLY_PUBLIC: Final = (f"{PUBLIC}/32",)
#: The socket families that each network allows: UNIX, and for a bridge also INET and INET6.
_FAMILIES: Final = {"none": frozenset({1}), "bridge": frozenset({1, 2, 10})}
_ADVICE: Final = "Remove the cause that it names, and run the doctor again."


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of the isolation, with the parts that they need."""

    settings: Settings
    runner: ProbeRunner
    #: `name=value` of the image's own environment.
    image_environment: Sequence[str]
    honeypot: Honeypot
    #: The gateway that scans use if one runs, else the doctor's own; None if sandboxes have none.
    gateway: EgressClient | None
    #: The doctor's own gateway, which resolves names at the honeypot.
    own: EgressClient | None

    def work(self) -> list[CheckCoroutine]:
        """Return the checks in the order in which their findings are reported."""
        work = [_report_lost_gateway("sandbox-walls", self._isolation)]
        own = self.own
        if own is not None:
            work += [
                _report_lost_gateway("gateway-names", lambda: self._name_checks(own)),
                _report_lost_gateway(
                    "fetcher-redirect",
                    lambda: self._redirect(own, "fetcher-redirect", _ONLY_PUBLIC),
                ),
                # Here the fetcher's own address policy allows everything: only the gateway refuses.
                _report_lost_gateway(
                    "gateway-redirect",
                    lambda: self._redirect(own, "gateway-redirect", _ALL_ADDRESSES),
                ),
            ]
        if self.settings.has_pool:
            work.append(self._pool_walls())
        return [*work, self._fork_bomb(), self._memory_bomb(), self._tmpfs()]

    def _walls(self) -> tuple[list[IsolationCheck], dict[str, Any]]:
        """Return the checks of any sandbox, and the task of the probe for them."""
        port = self.honeypot.ports[DIRECT]
        own = [
            str(each.network_address)
            for each in host_networks().own
            if each.num_addresses == 1 and not each.is_link_local
        ]
        groups = (
            ((PRIVATE, port), ("::1", port)),
            tuple((address, 80) for address in own[:_MAX_ADDRESSES]),
            tuple((address, 80) for address in _METADATA),
        )
        checks = [*ISOLATION_CHECKS, *connection_checks(*groups)]
        task: dict[str, Any] = {
            "vectors": list(dict.fromkeys(["kernel", *(check.vector for check in checks)])),
            "connections": [pair for group in groups for pair in group],
        }
        return checks, task

    async def _pool_walls(self) -> list[Finding]:
        """Check a sandbox whose network namespace is an anchor's."""
        checks, task = self._walls()
        run = await self.runner.probe({"vectors": ["kernel"]})
        expected = self._expected(gvisor=_is_gvisor(run))
        return [await pool_walls(self.runner, task, checks, expected)]

    async def _isolation(self) -> list[Finding]:
        checks, task = self._walls()
        if self.gateway is None:
            run = await self.runner.probe(task)
        else:
            checks.append(NEIGHBOUR_CHECK)
            task["vectors"] += [NEIGHBOUR_CHECK.vector, "requests"]
            task["requests"] = gateway_checks.policy_requests()
            if self._is_in_use:
                task["requests"] |= gateway_checks.resolver_requests(self.runner.token)
            run = await self._through_with_neighbour(self.gateway, task)
        expected = self._expected(gvisor=_is_gvisor(run))
        found = [check.finding(run, expected) for check in checks]
        found.append(await self._filter(run, expected))
        if self.gateway is not None:
            found += _policy_findings(run)
        return [*found, _resolver_finding(run)] if self._is_in_use else found

    async def _filter(self, run: ProbeRun, expected: ExpectedSandbox) -> Finding:
        """Check our filter under runc, because gVisor ignores it and scans may use runc."""
        if expected.gvisor:
            run = await self.runner.probe({"vectors": [SECCOMP_CHECK.vector]}, runtime=RUNC)
        return SECCOMP_CHECK.finding(run, expected)

    @property
    def _is_in_use(self) -> bool:
        """True if the gateway is the one that scans use, with the operator's resolver."""
        return self.gateway is not None and self.gateway is not self.own

    async def _through_with_neighbour(
        self, gateway: EgressClient, task: dict[str, Any]
    ) -> ProbeRun:
        """Run the probe with the operator's policy, while another sandbox's endpoint exists."""
        other = await gateway.create()
        try:
            task["neighbour"] = f"{other.directory}/{SOCKET_NAME}"
            return await self._through(gateway, _operator_policy(self.settings), task)
        finally:
            await gateway.close(other.id)

    async def _through(
        self, gateway: EgressClient, policy: EgressPolicy, task: dict[str, Any]
    ) -> ProbeRun:
        """Run the probe with an egress endpoint that has this policy."""
        request = self.runner.request()
        egress = GatewayEgress(gateway, policy)
        endpoint = await egress.open(request, deadline_s=_ENDPOINT_S)
        try:
            return await self.runner.probe(task, request=request, egress_dir=endpoint.directory)
        finally:
            await egress.close(endpoint)

    def _expected(self, *, gvisor: bool) -> ExpectedSandbox:
        settings = self.settings
        secrets = (settings.redis_password, settings.turso_auth_token)
        values = tuple(secret.get_secret_value() for secret in secrets)
        return ExpectedSandbox(
            environment=frozenset({"HOSTNAME=sandbox", *ENVIRONMENT, *self.image_environment}),
            uids=settings.uids,
            secrets=tuple(value for value in values if value),
            families=_FAMILIES[settings.container_network],
            gvisor=gvisor,
        )

    async def _name_checks(self, own: EgressClient) -> list[Finding]:
        """Request names that resolve to private addresses; one address counts as public."""
        task = {
            "vectors": ["requests"],
            "requests": gateway_checks.honeypot_requests(self.honeypot.page_port),
        }
        run = await self._through(own, EgressPolicy(allow_cidrs=_ONLY_PUBLIC), task)
        return [
            _finding_on_responses(
                run, "gateway-way-out", "open", gateway_checks.allowed_connection
            ),
            _finding_on_responses(
                run, "gateway-ports", "ports", gateway_checks.all_refused("ports of services")
            ),
            _finding_on_responses(
                run,
                "gateway-dns",
                "names",
                gateway_checks.all_refused("names of private hosts"),
            ),
            _finding_on_responses(
                run, "gateway-rebinding", "rebinding", gateway_checks.rebinding(self.honeypot)
            ),
        ]

    async def _redirect(
        self, own: EgressClient, name: str, allowed: Sequence[str]
    ) -> list[Finding]:
        """Run the fetcher on a page that redirects to a private address.

        `allowed` are the ranges that the fetcher's own address policy allows.
        """
        request = self.runner.request(
            f"http://{PUBLIC_NAME}:{self.honeypot.page_port}/",
            gateway=True,
            timeout_s=_FETCH_S,
            policy=PolicyOverrides(allow_cidrs=tuple(allowed)),
        )
        egress = GatewayEgress(own, EgressPolicy(allow_cidrs=_ONLY_PUBLIC))
        endpoint = await egress.open(request, deadline_s=_ENDPOINT_S)
        try:
            run = await self.runner.fetch(request, endpoint.directory)
        finally:
            record = await egress.close(endpoint)
        reader = ReportReader(request.scan, request.attempt)
        reader.feed(run.output)
        reader.close()
        return [gateway_checks.redirect(name, reader.evidence(), record, self.honeypot)]

    async def _fork_bomb(self) -> list[Finding]:
        limit = self.runner.settings.pids_limit
        task = {"vectors": ["kernel", "fork_bomb"], "most_processes": 2 * limit + 128}
        run = await self.runner.probe(task)
        return [resource_checks.fork_bomb(run, limit, gvisor=_is_gvisor(run))]

    async def _memory_bomb(self) -> list[Finding]:
        limit_mb = min(self.runner.settings.memory_mb, _MAX_MEMORY_MB)
        task = {"vectors": ["memory_bomb"], "most_memory_mb": 2 * limit_mb}
        run = await self.runner.probe(task, memory_mb=limit_mb)
        for _ in range(_RETRIES_OF_BOMB):
            if run.exit.oom_killed or run.exit.exit_code != SIGKILL_STATUS:
                break
            run = await self.runner.probe(task, memory_mb=limit_mb)
        return [resource_checks.memory_bomb(run, limit_mb)]

    async def _tmpfs(self) -> list[Finding]:
        limit_mb = self.runner.settings.tmpfs_mb
        task = {"vectors": ["tmpfs"], "most_space_mb": 2 * limit_mb}
        # Files in /tmp count as memory; another check tests the memory limit.
        memory_mb = max(self.runner.settings.memory_mb, limit_mb + _PROBE_MB)
        return [resource_checks.tmpfs(await self.runner.probe(task, memory_mb=memory_mb), limit_mb)]


def _is_gvisor(run: ProbeRun) -> bool:
    try:
        return bool(run.facts("kernel") == "gvisor")
    except LookupError:
        # Then the isolation checks have no facts either, and fail.
        return False


def _operator_policy(settings: Settings) -> EgressPolicy:
    """Return the operator's policy with the default caps: the probe sends many requests at once."""
    return EgressPolicy(**msgspec.structs.asdict(settings.policy_overrides))


def _policy_findings(run: ProbeRun) -> list[Finding]:
    return [
        _finding_on_responses(
            run,
            "gateway-literals",
            "literals",
            gateway_checks.all_refused("spellings of addresses"),
        ),
        _finding_on_responses(
            run,
            "gateway-requests",
            "others",
            gateway_checks.all_refused("ambiguous or foreign requests"),
        ),
    ]


def _resolver_finding(run: ProbeRun) -> Finding:
    try:
        return gateway_checks.resolver(run.facts("requests")["resolver"])
    except LookupError as error:
        return failed("gateway-resolver", f"not tested: {error}", _ADVICE)


def _finding_on_responses(
    run: ProbeRun,
    name: str,
    group: str,
    evaluate: Callable[[gateway_checks.Responses], Evaluation],
) -> Finding:
    try:
        faults, fine = evaluate(run.facts("requests")[group])
    except LookupError as error:
        return failed(name, f"not tested: {error}", _ADVICE)
    return finding_from_faults(name, faults, fine, gateway_checks.ADVICE)


async def _report_lost_gateway(name: str, check: Callable[[], CheckCoroutine]) -> list[Finding]:
    """Await a check; a gateway that is lost meanwhile is a finding."""
    try:
        return await check()
    except (EgressUnavailableError, OSError) as error:
        return [failed(name, str(error), _ADVICE)]
