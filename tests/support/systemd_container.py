"""Boots a host with systemd: our units under a real PID 1, in a container.

Gateway, worker and API run as `docker/systemd/` says. The host's engine starts the sandboxes
outside the container, so their mounts need one path inside and outside: the egress folder is a
volume, mounted where the engine itself has it. Drop-ins change only what this needs. While it runs,
systemd mounts control groups that the host has not mounted; an engine of that time then misses that
containers ran out of memory. No other test may run at the same time.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from docker.client import DockerClient  # type: ignore[import-not-found]  # docker/ hides the SDK

from safeurl.settings import Settings
from tests.support.images import SOCKET_PATH, docker_client
from tests.support.systemd import DROP_IN, SystemdHost, environ_of, packed, until

IMAGE = "safeurl-systemd:latest"
#: On all that is made here; the reaper's labels are others, so it leaves these alone.
LABEL = "safeurl.test-systemd"

_ROOT = Path(__file__).resolve().parents[2]
_BUILD_TIMEOUT_S = 270
#: From release 256 on systemd refuses a host with cgroup v1 without this kernel argument.
_KERNEL_WORDS = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
_BOOT_TIMEOUT_S = 60
#: What systemd made for the gateway's user, the folder from outside gets as well; and what it makes
#: of the worker's StateDirectory=, the installation's own folder.
_GATEWAY = """[Service]
ReadWritePaths={egress}
ExecStartPre=+/usr/bin/install -d -o safeurl -g safeurl -m 3770 {state}
ExecStartPre=+/bin/chown --reference=/run/safeurl-egress {egress}
ExecStartPre=+/bin/chmod --reference=/run/safeurl-egress {egress}
IPAddressAllow={outside}
"""


@contextmanager
def systemd_host() -> Iterator[SystemdHost]:
    """Build the image if needed, boot a host on its own network, and remove all at the end.

    The container starts as after a power-on: systemd itself starts the enabled units.
    """
    subprocess.run(
        [shutil.which("bash") or "bash", "tests/support/systemd_image.sh"],
        cwd=_ROOT,
        check=True,
        timeout=_BUILD_TIMEOUT_S,
        stdout=subprocess.DEVNULL,
    )
    name = f"safeurl-test-{secrets.token_hex(6)}"
    with docker_client() as client:
        try:
            yield from _boot(client, name)
        finally:
            _remove(client, name)


def _boot(client: DockerClient, name: str) -> Iterator[SystemdHost]:
    label = {LABEL: name}
    network = client.networks.create(name, labels=label)
    network.reload()
    outside = network.attrs["IPAM"]["Config"][0]["Gateway"]
    volume = client.volumes.create(name, labels=label)
    egress = volume.attrs["Mountpoint"]
    container = client.containers.create(IMAGE, **_options(name, egress), labels=label)
    settings = _settings(name, egress, outside)
    packed_files = packed(
        {
            "etc/safeurl/safeurl.env": _lines(environ_of(settings)),
            "etc/safeurl/gateway.env": f"EGRESS_DIR={egress}\n",
            DROP_IN.format(unit="safeurl-gateway", name="test"): _GATEWAY.format(
                state=settings.state_dir, egress=egress, outside=outside
            ),
        }
    )
    assert container.put_archive("/", packed_files)
    container.start()
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"][name]["IPAddress"]
    with httpx.Client(base_url=f"http://{address}:{settings.api_port}", timeout=5.0) as api:
        host = SystemdHost(container, settings, outside, api)
        until(
            lambda: host.run("systemctl", "is-system-running").text.strip() == "running",
            _BOOT_TIMEOUT_S,
        )
        yield host


def _remove(client: DockerClient, name: str) -> None:
    found = {"label": f"{LABEL}={name}"}
    for container in client.containers.list(all=True, filters=found):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=found):
        instance = _settings(name, volume.attrs["Mountpoint"], "127.0.0.1").instance
        label = f"safeurl.instance={instance}"
        for left in client.containers.list(all=True, filters={"label": label}):
            left.remove(force=True)
        volume.remove()
    for network in client.networks.list(filters=found):
        network.remove()


def _options(name: str, egress: str) -> dict[str, object]:
    """Return the options for systemd as PID 1 of a container, with the engine's socket."""
    group = Path(SOCKET_PATH).stat().st_gid
    start = f"groupmod -o -g {group} docker && exec /lib/systemd/systemd"
    return {
        "name": name,
        "network": name,
        "command": ["sh", "-c", start],
        "environment": {"container": "docker", "SYSTEMD_PROC_CMDLINE": _KERNEL_WORDS},
        "cap_add": ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "cgroupns": "host",
        "tmpfs": {"/run": "", "/run/lock": "", "/tmp": ""},  # noqa: S108 - inside the container
        "volumes": [
            "/sys/fs/cgroup:/sys/fs/cgroup",
            f"{os.path.realpath(SOCKET_PATH)}:/run/docker.sock",
            f"{name}:{egress}",
        ],
    }


def _settings(name: str, egress: str, outside: str) -> Settings:
    """Return a separate installation that takes back scans of a killed worker quickly."""
    return Settings.read(
        {
            "SAFEURL_STATE_DIR": f"/var/lib/safeurl/{name}",
            "EGRESS_DIR": egress,
            "EGRESS_ALLOW_CIDRS": f"{outside}/32",
            "CONTAINER_RUNTIME": "runc",
            "WORKER_CONCURRENCY": "1",
            "LEASE_SECONDS": "3",
            "RETRY_BACKOFF_SECONDS": "1",
            "API_HOST": "0.0.0.0",
        }
    )


def _lines(environ: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in environ.items())
