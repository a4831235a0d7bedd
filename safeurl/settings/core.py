"""The settings: one frozen object, read once from a mapping; all faults are reported together.

`.env.example` is generated from the fields, and a test compares the two.
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from safeurl.address import PolicyOverrides
from safeurl.errors import ConfigError
from safeurl.settings.api import ApiSettings
from safeurl.settings.egress import EgressSettings
from safeurl.settings.pool import LEAST_TTL_SECONDS, PoolSettings
from safeurl.settings.redis import RedisSettings
from safeurl.settings.redis_url import RedisPlace
from safeurl.settings.types import Seconds, Uids
from safeurl.settings.uids import DEFAULT_UIDS, read_uids, write_uids


class Settings(EgressSettings, RedisSettings, ApiSettings, PoolSettings):
    """All settings; the description of a field is its documentation."""

    state_dir: Path = Field(
        default=Path("~/.local/state/safeurl"),
        alias="SAFEURL_STATE_DIR",
        description="Folder for the SQLite database, the embedded queue and the stored artefacts.",
    )
    turso_connection_url: str = Field(
        default="",
        pattern=r"^$|^(libsql|https?|wss?)://",
        alias="TURSO_CONNECTION_URL",
        description="libSQL or Turso database (libsql:, https:, http:, wss: or ws:). Empty: "
        "SQLite in the state folder.",
    )
    turso_auth_token: SecretStr = Field(
        default=SecretStr(""),
        alias="TURSO_AUTH_TOKEN",
        description="Token for the database of TURSO_CONNECTION_URL. It needs the package "
        "extra `turso`.",
    )
    sqlite_synchronous: Literal["NORMAL", "FULL"] = Field(
        default="NORMAL",
        alias="SQLITE_SYNCHRONOUS",
        description="How SQLite writes. NORMAL: a write survives a killed process. FULL: it "
        "also survives a power cut.",
    )
    docker_socket_path: Path = Field(
        default=Path("/var/run/docker.sock"),
        alias="DOCKER_SOCKET_PATH",
        description="Socket of the Docker engine. Only the worker opens it.",
    )
    fetcher_image: str = Field(
        default="safeurl-fetcher:latest",
        min_length=1,
        alias="FETCHER_IMAGE",
        description="Image of the sandbox that opens the page. docker/build.sh builds it.",
    )
    worker_concurrency: int = Field(
        default=5,
        ge=1,
        le=256,
        alias="WORKER_CONCURRENCY",
        description="Number of scans that one host runs at the same time.",
    )
    container_timeout_ms: int = Field(
        default=30_000,
        ge=1_000,
        le=600_000,
        alias="CONTAINER_TIMEOUT_MS",
        description="Deadline of a sandbox. The fetcher stops by itself at four fifths of it. "
        "If you raise it, raise TimeoutStopSec of the worker's unit by the same "
        "time.",
    )
    container_memory_limit_mb: int = Field(
        default=512,
        ge=64,
        le=65_536,
        alias="CONTAINER_MEMORY_LIMIT_MB",
        description="Memory limit of a sandbox, swap included.",
    )
    container_cpu_limit: float = Field(
        default=0.5,
        ge=0.05,
        le=64,
        alias="CONTAINER_CPU_LIMIT",
        description="CPU limit of a sandbox, in cores.",
    )
    container_pids_limit: int = Field(
        default=128,
        ge=8,
        le=4096,
        alias="CONTAINER_PIDS_LIMIT",
        description="Limit of processes and threads in a sandbox.",
    )
    container_network: Literal["none", "bridge"] = Field(
        default="none",
        alias="CONTAINER_NETWORK",
        description="Network of a sandbox. none: only a socket to the egress gateway, which "
        "checks every connection. bridge: Docker's bridge, where only the fetcher "
        "checks.",
    )
    container_runtime: str = Field(
        default="auto",
        pattern=r"^[A-Za-z0-9_.-]*$",
        alias="CONTAINER_RUNTIME",
        description="OCI runtime: runc, runsc (gVisor) or another one that the engine knows. "
        "auto: runsc if docker/gvisor.sh has registered it, else the engine's "
        "default.",
    )
    sandbox_uids: Uids = Field(
        default=write_uids(DEFAULT_UIDS),
        alias="SANDBOX_UIDS",
        description="Range of user ids of this host, first-last, that only sandboxes use. "
        "Each sandbox has one of its own, so that no sandbox uses up the per-user "
        "limits of another.",
    )
    max_redirects: int = Field(
        default=10,
        ge=0,
        le=50,
        alias="MAX_REDIRECTS",
        description="Limit of redirects that a scan follows.",
    )
    max_body_mb: int = Field(
        default=10,
        ge=1,
        le=16,
        alias="MAX_BODY_MB",
        description="Limit of a page's body, for the received bytes and again for the "
        "decompressed ones.",
    )
    max_retries: int = Field(
        default=3,
        ge=0,
        le=20,
        alias="MAX_RETRIES",
        description="Limit of further attempts after the sandbox or the worker failed. A "
        "failure of the page is not tried again.",
    )
    retry_backoff_seconds: Seconds = Field(
        default=(60, 120, 240),
        min_length=1,
        alias="RETRY_BACKOFF_SECONDS",
        description="Pauses before the retries after a sandbox failed. The last one repeats.",
    )
    lease_seconds: int = Field(
        default=30,
        ge=3,
        le=3600,
        alias="LEASE_SECONDS",
        description="Time after which the scan of a silent worker is taken back. With several "
        "hosts, whose clocks differ, set at least 10.",
    )
    max_scans_per_worker: int = Field(
        default=3,
        ge=0,
        le=1_000_000,
        alias="MAX_SCANS_PER_WORKER",
        description="Number of scans after which a worker process is replaced by a new one. "
        "0: never.",
    )
    worker_max_lifetime: int = Field(
        default=180,
        ge=0,
        le=86_400,
        alias="WORKER_MAX_LIFETIME",
        description="Seconds after which a worker process is replaced by a new one, between "
        "scans only. 0: never.",
    )
    user_agent: str = Field(
        default="",
        max_length=512,
        alias="FETCH_USER_AGENT",
        description="User-Agent header for pages. Empty: that of a current browser.",
    )
    enable_worker: bool = Field(
        default=False,
        alias="ENABLE_WORKER",
        description="Whether `safeurl api` also runs the worker.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", alias="LOG_LEVEL", description="Lowest level that the daemons log."
    )

    @field_validator("container_runtime")
    @classmethod
    def _needs_no_bridge(cls, value: str, info: ValidationInfo) -> str:
        """Refuse gVisor on Docker's bridge: with the options of sandboxes it has no network."""
        if value == "runsc" and info.data.get("container_network") == "bridge":
            raise ValueError("runsc needs CONTAINER_NETWORK=none, not bridge")
        return value

    @field_validator("sandbox_uids")
    @classmethod
    def _is_enough(cls, value: str, info: ValidationInfo) -> str:
        """Refuse fewer user ids than concurrent sandboxes."""
        if len(read_uids(value)) < info.data.get("worker_concurrency", 0):
            raise ValueError("fewer user ids than WORKER_CONCURRENCY")
        return value

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from a mapping such as `os.environ`; raise ConfigError with all faults.

        An empty value means not set, so that `.env` files may list every variable.
        """
        given = {
            key: value for key, value in environ.items() if key in SETTING_NAMES and value != ""
        }
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError(
                tuple(_fault(item["loc"], _reason(item)) for item in error.errors())
            ) from None
        try:
            state_dir = settings.state_dir.expanduser().absolute()
        except RuntimeError as error:
            fault = _fault(("SAFEURL_STATE_DIR",), f"{error} Name a folder that starts with /")
            raise ConfigError((fault,)) from error
        return settings.model_copy(update={"state_dir": state_dir})

    @property
    def uids(self) -> range:
        """The user ids of this host for sandboxes."""
        return read_uids(self.sandbox_uids)

    @property
    def policy_overrides(self) -> PolicyOverrides:
        """The operator's exceptions from the address policy."""
        return PolicyOverrides(
            allow_cidrs=self.egress_allow_cidrs,
            deny_cidrs=self.egress_deny_cidrs,
            allow_ports=self.egress_allow_ports,
            deny_ports=self.egress_deny_ports,
            dns64=self.egress_dns64,
        )

    @property
    def redis(self) -> RedisPlace:
        """The address of the queue, and the user and password for it."""
        return self.own_redis or RedisPlace(path=str(self.valkey_socket))

    @property
    def container_timeout(self) -> timedelta:
        """The time after its start at which the worker ends a sandbox."""
        return timedelta(milliseconds=self.container_timeout_ms)

    @property
    def fetch_timeout(self) -> timedelta:
        """The time after which the fetcher ends by itself; shorter than the container's."""
        return self.container_timeout * 0.8

    @property
    def attempt_timeout(self) -> timedelta:
        """The time after which an attempt ends in any case; longer than the container's."""
        return self.container_timeout + timedelta(seconds=30)

    @property
    def job_timeout(self) -> timedelta:
        """The deadline of a job in the worker; longer than the attempt's."""
        return self.attempt_timeout + timedelta(seconds=30)

    @property
    def lease(self) -> timedelta:
        """The time for which a claim is valid without renewal."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def instance(self) -> str:
        """The name of this installation on its Docker engine, so that it reaps only its own.

        Containers and units of one host may all have the same path of the state folder. The
        gateway's folder is a path of the host, which no two installations can share.
        """
        folders = [self.state_dir]
        if not self.gateway_dir.is_relative_to(self.state_dir):
            folders.append(self.gateway_dir)
        return hashlib.sha256(b"\0".join(map(os.fsencode, folders))).hexdigest()[:12]

    @property
    def database_path(self) -> Path:
        """The embedded SQLite file."""
        return self.state_dir / "safeurl.db"

    @property
    def worker_log(self) -> Path:
        """The log file of the worker of `safeurl scan`."""
        return self.state_dir / "worker.log"

    @property
    def artefact_dir(self) -> Path:
        """The folder of the stored blobs."""
        return self.state_dir / "artefacts"

    @property
    def gateway_dir(self) -> Path:
        """The folder of the egress gateway's sockets."""
        return Path(self.egress_dir).absolute() if self.egress_dir else self.state_dir / "egress"

    @property
    def pool_dir(self) -> Path:
        """The folder of the warm pool's socket and lock."""
        return self.state_dir / "pool"

    @property
    def has_pool(self) -> bool:
        """Whether this host starts sandboxes ahead; on Docker's bridge it never does."""
        is_wanted = self.fixed_pool_size != 0 and self.container_network == "none"
        return is_wanted and self.pool_member_seconds >= LEAST_TTL_SECONDS

    @property
    def pool_member_seconds(self) -> int:
        """How long a member waits: it must be gone before the gateway removes its socket."""
        return min(self.pool_ttl_seconds, self.egress_unbound_seconds * 9 // 10)

    @property
    def valkey_dir(self) -> Path:
        """The folder of the embedded Valkey."""
        return self.state_dir / "valkey"

    @property
    def valkey_socket(self) -> Path:
        """The embedded Valkey's unix socket."""
        return self.valkey_dir / "valkey.sock"


#: The environment variables that are settings.
SETTING_NAMES = frozenset(str(field.alias) for field in Settings.model_fields.values())


def _reason(item: ErrorDetails) -> str:
    """Return the message of our own validator as it is, or pydantic's."""
    own = item.get("ctx", {}).get("error")
    return str(own or item["msg"])


def _fault(loc: tuple[int | str, ...], message: str) -> str:
    return f"{loc[0]}: {message}. `.env.example` documents it."
