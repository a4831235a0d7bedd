"""The trials of the isolation: each runs sandboxes and returns its findings."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safeurl.errors import EgressUnavailableError
from safeurl.model.report_reader import ReportReader
from safeurl.settings import Settings
from worker.attempt.classify import SIGKILL_STATUS
from worker.doctor.checks import gateway_checks, resource_checks
from worker.doctor.checks.isolation_checks import (
    FILTER,
    NEIGHBOUR,
    WALLS,
    Expected,
    connection_walls,
)
from worker.doctor.fake_dns import OPEN, PRIVATE, PUBLIC
from worker.doctor.finding import Finding, failed, ruled
from worker.doctor.honeypot import BEHIND_WALLS, Lure
from worker.doctor.probe_runner import Trials, Tried
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.networks.local_addresses import host_networks
from worker.egress.protocol import SOCKET_NAME, EgressPolicy
from worker.sandbox.options import ENVIRONMENT
from worker.sandbox.runtime import RUNC

#: A trial, by what it is called where it cannot be made.
Work = Coroutine[Any, Any, list[Finding]]

_DOOR_S: Final = 60.0
_FETCH_S: Final = 10.0
#: A memory bomb of more would burden the host to prove the same.
_MOST_MEMORY_MB: Final = 512
#: Where the host's cgroups are not in sight (in a container), the engine alone tells of a bomb's
#: end, and may lose the word: under gVisor 1 of 6 where several end at once.
_MORE_BOMBS: Final = 3
#: What the probe itself needs.
_ROOM_MB: Final = 64
_METADATA: Final = (
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    "fd00:ec2::254",
)
_MOST_ADDRESSES: Final = 8
_EVERYTHING: Final = ("0.0.0.0/0", "::/0")
_ONLY_PUBLIC: Final = (f"{PUBLIC}/32",)
#: Socket families of the network: UNIX, and for a bridge INET and INET6.
_FAMILIES: Final = {"none": frozenset({1}), "bridge": frozenset({1, 2, 10})}
_MEND: Final = "Mend what it names, and run the doctor again."


@dataclass(frozen=True, slots=True)
class Ward:
    """What the trials need."""

    settings: Settings
    trials: Trials
    #: `name=value` of the image's own environment.
    image_environment: Sequence[str]
    lure: Lure
    #: The installation's gateway where one runs, else the doctor's; None where sandboxes have none.
    gateway: EgressClient | None
    #: The doctor's own, which asks the lure for names.
    own: EgressClient | None

    def work(self) -> list[Work]:
        """Return the trials in the order in which their findings are told."""
        work = [_guarded("sandbox-walls", self._walls)]
        own = self.own
        if own is not None:
            work += [
                _guarded("gateway-names", lambda: self._names(own)),
                _guarded(
                    "fetcher-redirect",
                    lambda: self._redirect(own, "fetcher-redirect", _ONLY_PUBLIC),
                ),
                # With the fetcher's own guard switched off, so that the gateway stands alone.
                _guarded(
                    "gateway-redirect", lambda: self._redirect(own, "gateway-redirect", _EVERYTHING)
                ),
            ]
        return [*work, self._fork_bomb(), self._memory_bomb(), self._tmpfs()]

    async def _walls(self) -> list[Finding]:
        port = self.lure.ports[BEHIND_WALLS]
        own = [
            str(each.network_address)
            for each in host_networks().own
            if each.num_addresses == 1 and not each.is_link_local
        ]
        groups = (
            ((PRIVATE, port), ("::1", port)),
            tuple((address, 80) for address in own[:_MOST_ADDRESSES]),
            tuple((address, 80) for address in _METADATA),
        )
        walls = [*WALLS, *connection_walls(*groups)]
        task: dict[str, Any] = {
            "vectors": list(dict.fromkeys(["kernel", *(wall.vector for wall in walls)])),
            "connections": [pair for group in groups for pair in group],
        }
        if self.gateway is None:
            tried = await self.trials.probe(task)
        else:
            walls.append(NEIGHBOUR)
            task["vectors"] += [NEIGHBOUR.vector, "requests"]
            task["requests"] = gateway_checks.policy_requests()
            if self._is_in_use:
                task["requests"] |= gateway_checks.resolver_requests(self.trials.token)
            tried = await self._behind(self.gateway, task)
        expected = self._expected(gvisor=_is_gvisor(tried))
        found = [wall.find(tried, expected) for wall in walls]
        found.append(await self._filter(tried, expected))
        if self.gateway is not None:
            found += _policy(tried)
        return [*found, _resolver(tried)] if self._is_in_use else found

    async def _filter(self, tried: Tried, expected: Expected) -> Finding:
        """Judge our filter under runc, which sandboxes may fall back to; gVisor ignores it."""
        if expected.gvisor:
            tried = await self.trials.probe({"vectors": [FILTER.vector]}, runtime=RUNC)
        return FILTER.find(tried, expected)

    @property
    def _is_in_use(self) -> bool:
        """Whether the gateway is the one that scans go through, with the operator's resolver."""
        return self.gateway is not None and self.gateway is not self.own

    async def _behind(self, gateway: EgressClient, task: dict[str, Any]) -> Tried:
        """Run the probe behind a door with the operator's policy, next to somebody else's."""
        other = await gateway.create()
        try:
            task["neighbour"] = f"{other.directory}/{SOCKET_NAME}"
            return await self._through(gateway, _operators(self.settings), task)
        finally:
            await gateway.close(other.id)

    async def _through(
        self, gateway: EgressClient, policy: EgressPolicy, task: dict[str, Any]
    ) -> Tried:
        """Run the probe behind a door with this policy."""
        request = self.trials.request()
        door = GatewayEgress(gateway, policy)
        room = await door.open(request, deadline_s=_DOOR_S)
        try:
            return await self.trials.probe(task, request=request, egress_dir=room.directory)
        finally:
            await door.close(room)

    def _expected(self, *, gvisor: bool) -> Expected:
        settings = self.settings
        secrets = (settings.redis_password, settings.turso_auth_token)
        values = tuple(secret.get_secret_value() for secret in secrets)
        return Expected(
            environment=frozenset({"HOSTNAME=sandbox", *ENVIRONMENT, *self.image_environment}),
            uids=settings.uids,
            secrets=tuple(value for value in values if value),
            families=_FAMILIES[settings.container_network],
            gvisor=gvisor,
        )

    async def _names(self, own: EgressClient) -> list[Finding]:
        """Ask for names that lie; the doctor's own gateway believes in one public address."""
        task = {
            "vectors": ["requests"],
            "requests": gateway_checks.lure_requests(self.lure.page_port),
        }
        tried = await self._through(own, EgressPolicy(allow_cidrs=_ONLY_PUBLIC), task)
        return [
            _asked(tried, "gateway-way-out", "open", gateway_checks.way_out),
            _asked(tried, "gateway-ports", "ports", gateway_checks.refused("ports of services")),
            _asked(tried, "gateway-dns", "names", gateway_checks.refused("names that lead inside")),
            _asked(tried, "gateway-rebinding", "rebinding", gateway_checks.rebinding(self.lure)),
        ]

    async def _redirect(self, own: EgressClient, name: str, guard: Sequence[str]) -> list[Finding]:
        """Let the fetcher itself follow a redirect inside; `guard` is what its own guard allows."""
        request = self.trials.request(
            f"http://{OPEN}:{self.lure.page_port}/",
            gateway=True,
            timeout_s=_FETCH_S,
            allow_cidrs=tuple(guard),
        )
        door = GatewayEgress(own, EgressPolicy(allow_cidrs=_ONLY_PUBLIC))
        room = await door.open(request, deadline_s=_DOOR_S)
        try:
            tried = await self.trials.fetch(request, room.directory)
        finally:
            record = await door.close(room)
        reader = ReportReader(request.scan, request.attempt)
        reader.feed(tried.output)
        reader.close()
        return [gateway_checks.redirect(name, reader.evidence(), record, self.lure)]

    async def _fork_bomb(self) -> list[Finding]:
        limit = self.trials.settings.pids_limit
        task = {"vectors": ["kernel", "fork_bomb"], "most_processes": 2 * limit + 128}
        tried = await self.trials.probe(task)
        return [resource_checks.fork_bomb(tried, limit, gvisor=_is_gvisor(tried))]

    async def _memory_bomb(self) -> list[Finding]:
        limit_mb = min(self.trials.settings.memory_mb, _MOST_MEMORY_MB)
        task = {"vectors": ["memory_bomb"], "most_memory_mb": 2 * limit_mb}
        tried = await self.trials.probe(task, memory_mb=limit_mb)
        for _ in range(_MORE_BOMBS):
            if tried.exit.oom_killed or tried.exit.exit_code != SIGKILL_STATUS:
                break
            tried = await self.trials.probe(task, memory_mb=limit_mb)
        return [resource_checks.memory_bomb(tried, limit_mb)]

    async def _tmpfs(self) -> list[Finding]:
        limit_mb = self.trials.settings.tmpfs_mb
        task = {"vectors": ["tmpfs"], "most_space_mb": 2 * limit_mb}
        # What is in /tmp counts as memory; that cap is another trial's.
        memory_mb = max(self.trials.settings.memory_mb, limit_mb + _ROOM_MB)
        return [resource_checks.tmpfs(await self.trials.probe(task, memory_mb=memory_mb), limit_mb)]


def _is_gvisor(tried: Tried) -> bool:
    try:
        return bool(tried.seen("kernel") == "gvisor")
    except LookupError:
        # Then the walls have no facts either, and fail.
        return False


def _operators(settings: Settings) -> EgressPolicy:
    """Return the operator's policy; the caps are the doctor's, which asks for much at once."""
    return EgressPolicy(
        allow_cidrs=settings.egress_allow_cidrs,
        deny_cidrs=settings.egress_deny_cidrs,
        allow_ports=settings.egress_allow_ports,
        deny_ports=settings.egress_deny_ports,
        dns64=settings.egress_dns64,
    )


def _policy(tried: Tried) -> list[Finding]:
    return [
        _asked(
            tried, "gateway-literals", "literals", gateway_checks.refused("spellings of addresses")
        ),
        _asked(
            tried,
            "gateway-requests",
            "others",
            gateway_checks.refused("ambiguous or foreign requests"),
        ),
    ]


def _resolver(tried: Tried) -> Finding:
    try:
        return gateway_checks.resolver(tried.seen("requests")["resolver"])
    except LookupError as error:
        return failed("gateway-resolver", f"not tried: {error}", _MEND)


def _asked(
    tried: Tried,
    name: str,
    group: str,
    judge: Callable[[gateway_checks.Answers], gateway_checks.Judgement],
) -> Finding:
    try:
        faults, fine = judge(tried.seen("requests")[group])
    except LookupError as error:
        return failed(name, f"not tried: {error}", _MEND)
    return ruled(name, faults, fine, gateway_checks.ADVICE)


async def _guarded(name: str, trial: Callable[[], Work]) -> list[Finding]:
    """Await a trial; a gateway that is lost meanwhile is a finding."""
    try:
        return await trial()
    except (EgressUnavailableError, OSError) as error:
        return [failed(name, str(error), _MEND)]
