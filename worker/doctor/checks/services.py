"""Checks the parts that SafeURL needs besides Docker: database, queue, gateway, folders, disk."""

import pwd
import shlex
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safeurl.bootstrap import exposed_paths, make_queue, open_store
from safeurl.errors import EgressUnavailableError, SafeURLError
from safeurl.printable import counted
from safeurl.settings import Settings
from safeurl.settings.redis_url import RedisPlace
from safeurl.settings.weakness import REDIS, weaknesses
from worker.doctor.checks.docker_facts import Info
from worker.doctor.finding import Finding, failed, finding_from_faults, passed, warned
from worker.egress.client.client import EgressClient

_GIB: Final = 1024**3
_LOW_BYTES: Final = _GIB
_FULL_BYTES: Final = _GIB // 5
#: The folder of the system's containerd; one that the engine starts uses the engine's folder.
_CONTAINERD: Final = Path("/var/lib/containerd")
_SNAPSHOTTER: Final = "io.containerd.snapshotter.v1"
_PROTECT: Final = "Use rediss:// in REDIS_URL, and a user of its own for each service."
#: The number of paths that a line shows; the first ones are enough to start with.
_LISTED: Final = 4
_CHANGED: Final = (
    "The schema was changed: run `safeurl audit verify`, and restore a backup from before that."
)
_START: Final = "It starts with `safeurl worker` or `safeurl up`."


async def database(settings: Settings) -> Finding:
    """Fail if the database does not answer, or its schema differs from that of this version."""
    embedded = not settings.turso_connection_url
    if embedded and not settings.database_path.exists():
        advice = "`safeurl migrate` creates it, or the first command that needs it."
        return warned("database", f"there is no {settings.database_path} yet", advice)
    try:
        async with open_store(settings, migrate=False) as store:
            faults = await store.schema_faults()
    except SafeURLError as error:
        return failed("database", str(error), "Run `safeurl migrate`, or remove the named cause.")
    if faults:
        return finding_from_faults("database", [fault.text for fault in faults], "", _CHANGED)
    where = f"SQLite in {settings.database_path}" if embedded else "libSQL"
    return passed("database", f"{where} answers, its schema is unchanged")


async def queue(settings: Settings) -> Finding:
    """Fail if Redis does not answer; warn if the embedded Valkey does not run."""
    place = settings.redis
    where = "the embedded Valkey" if settings.is_redis_embedded else f"Redis at {place}"
    wakeups = make_queue(settings)
    try:
        waiting = await wakeups.ping()
    except SafeURLError as error:
        if settings.is_redis_embedded:
            return warned("queue", "the embedded Valkey does not run", _START)
        return failed("queue", str(error), "Start it, or correct REDIS_URL or REDIS_HOST.")
    finally:
        await wakeups.close()
    words = f"{where} answers, {counted(waiting, 'wake-up waits', 'wake-ups wait')}"
    if settings.is_redis_embedded:
        return passed("queue", f"{words}; its socket is this user's alone")
    words = f"{words}; {_how(place)}"
    exposed = [each.words for each in weaknesses(settings) if each.setting == REDIS]
    return warned("queue", words, _PROTECT) if exposed else passed("queue", words)


def _how(place: RedisPlace) -> str:
    """Return how the connection to the server is protected, and which user it has."""
    way = "TLS" if place.is_tls else "a unix socket" if place.path else "no TLS"
    user = f"user {place.username}" if place.username else "the default user"
    return f"{way}, {user}, {'a' if place.password else 'no'} password"


async def gateway(settings: Settings) -> Finding:
    """Warn if no egress gateway runs; without one no sandbox can fetch a page."""
    if settings.container_network != "none":
        return passed("gateway", f"not used with CONTAINER_NETWORK={settings.container_network}")
    try:
        pong = await EgressClient(settings.gateway_dir).ping()
    except EgressUnavailableError:
        return warned("gateway", f"none runs in {settings.gateway_dir}", _START)
    return passed("gateway", f"version {pong.version} answers in {settings.gateway_dir}")


def state_folder(settings: Settings) -> Finding:
    """Warn if other users can enter the state folder or read a file in it."""
    folder = settings.state_dir
    exposed = exposed_paths(settings)
    if not exposed:
        return passed("state-folder", f"{folder} and its files are this user's alone")
    listed = ", ".join(map(str, exposed[:_LISTED]))
    advice = f"chmod go-rwx {' '.join(shlex.quote(str(each)) for each in exposed[:_LISTED])}"
    return warned("state-folder", f"open to other users: {listed}", advice)


def socket_mode(path: Path) -> Finding:
    """Warn if every user of the host can write to Docker's socket, which is root access."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        # The engine does not answer there either, and that finding says what to do.
        return failed("docker-socket", f"{path}: {error.strerror}", "")
    if mode & stat.S_IWOTH:
        advice = f"chmod 660 {path}, and give it to the group `docker`."
        return warned("docker-socket", f"{path} can be written by everybody", advice)
    return passed("docker-socket", f"{path} has mode {stat.S_IMODE(mode):04o}")


def disk(settings: Settings, info: Info | None) -> Finding:
    """Check the free space of the folders to which SafeURL and Docker write."""
    root = Path(str(info.get("DockerRootDir", ""))) if info else Path()
    images = [_CONTAINERD] if info and _has_containerd_store(info) else []
    folders = [each for each in (settings.state_dir, root, *images) if each.is_absolute()]
    return space({str(each): shutil.disk_usage(_existing(each)).free for each in folders})


def _has_containerd_store(info: Info) -> bool:
    """Return whether containerd stores the engine's images, as in new installations."""
    return any(_SNAPSHOTTER in each for each in info.get("DriverStatus") or ())


def space(left: Mapping[str, int]) -> Finding:
    """Fail if a disk is full, warn if little space is left; `left` is the free bytes by folder."""
    words = ", ".join(f"{free / _GIB:.1f} GiB free for {name}" for name, free in left.items())
    least = min(left.values())
    advice = "Free some space: scans, artefacts and images are written there."
    if least < _FULL_BYTES:
        return failed("disk", words, advice)
    return warned("disk", words, advice) if least < _LOW_BYTES else passed("disk", words)


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists and that we can access."""
    for each in (folder, *folder.parents):
        try:
            if each.exists():
                return each
        except PermissionError:
            continue
    return Path("/")


def accounts() -> dict[int, str]:
    """Return the names of this host's accounts by user id."""
    return {entry.pw_uid: entry.pw_name for entry in pwd.getpwall()}
