"""Checks of the complete checkout: layout, locks, scripts, units and the compose file."""

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import docker
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from safeurl.settings.core import SETTING_NAMES, Settings

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".ci", "api", "docker", "docs", "fetcher", "safeurl", "tests", "worker")
CODE_SUFFIXES = {".py", ".sh", ".sql", ".toml", ".yaml", ".Dockerfile", ".service"}
#: A file, and a folder of a package, that is larger takes too long to understand.
MAX_LINES = 350
MAX_MODULES = 16
#: The schema is one document of all tables, and a dump of a database is data.
LONG_FILES = {ROOT / "schema.sql", ROOT / "tests/support/databases/migration_4.sql"}

RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
FETCHER_LOCK = ROOT / "docker/fetcher-requirements.lock"
SERVICE_LOCK = ROOT / "docker/service-requirements.lock"
LOCKS = [RUNTIME_LOCK, DEV_LOCK, FETCHER_LOCK, SERVICE_LOCK]
LOCKED_LINE = re.compile(r"([a-z0-9][a-z0-9-]*)(?:\[[a-z,-]+\])?==(\S+) \\")
HASH_LINE = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")

# Written in pieces, so that this file passes its own test.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("debian", "org/debian"),
        ("archive.ubuntu", "com"),
        ("registry-1.docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
]
MACHINE_PATHS = [
    "/".join(parts)
    for parts in (
        ("", "tmp", "venv"),
        ("", "work", "main"),
        ("", "work", "shared"),
        ("", "opt", "pypi"),
        ("", "opt", "wheels"),
        (".pyenv", "versions"),
    )
]
#: `docker.io` alone is a Debian package; with a slash behind it, or as an image's prefix, a host.
DOCKER_HOST = re.compile(r"(?<![\w-])docker\.io/")

UNITS = sorted((ROOT / "docker/systemd").glob("*.service"))
SCRIPTS = sorted([*ROOT.glob("docker/**/*.sh"), *ROOT.glob("tests/**/*.sh"), ROOT / ".ci/run"])


def our_files() -> list[Path]:
    """Return the files of the project, without caches and a developer's own `.env`."""
    top = [
        path for path in ROOT.iterdir() if path.is_file() and path.name[:4] not in {".env", ".cov"}
    ]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in (*top, *below) if path.suffix != ".pyc"]


def locked(lock: Path) -> dict[str, str]:
    """Read a lock's names and versions."""
    found = (LOCKED_LINE.fullmatch(line) for line in lock.read_text().splitlines())
    return {match[1]: match[2] for match in found if match}


def project() -> tuple[list[str], dict[str, list[str]], list[str]]:
    """Read pyproject's dependencies, extras and build requirements."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = data["project"]["optional-dependencies"]
    return data["project"]["dependencies"], extras, data["build-system"]["requires"]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command and return its output, both streams in one."""
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


def test_docker_is_the_sdk_and_not_our_folder() -> None:
    """`import docker` finds the SDK although our checkout has a folder with this name."""
    assert "site-packages" in str(docker.__file__)
    assert not list((ROOT / "docker").rglob("__init__.py"))


def test_no_file_is_longer_than_350_lines() -> None:
    """A file that is too long to read in one go is split."""
    lengths = {
        path: len(path.read_text().splitlines())
        for path in our_files()
        if path.suffix in CODE_SUFFIXES and path not in LONG_FILES
    }
    assert len(lengths) > len(FOLDERS)
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_no_package_has_more_than_16_modules() -> None:
    """A package with more modules must be split; `__init__.py` does not count."""
    modules = Counter(
        path.parent
        for package in ("api", "fetcher", "safeurl", "worker")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert len(modules) > len(FOLDERS)
    assert {folder: count for folder, count in modules.items() if count > MAX_MODULES} == {}


def test_no_test_patches_the_clock() -> None:
    """A test passes a clock to the tested code, because a patch changes the time for all code."""
    patch = re.compile(r"(setattr|patch)\([^)]*\btime\b\W+(monotonic|time|sleep)\b")
    assert patch.search('monkeypatch.setattr("worker.lease.time.monotonic", clock)')
    assert patch.search('monkeypatch.setattr(time, "sleep", clock)')
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert len(tests) > len(FOLDERS)
    assert [path for path in tests if patch.search(path.read_text())] == []


def test_what_explains_the_system_is_read_in_one_sitting() -> None:
    """States, the ports that a scan needs, the submit and an attempt are short together."""
    ports = ("scans", "attempts", "sandbox", "egress", "queue", "artefacts", "clock")
    files = ["safeurl/state.py", "safeurl/services/submit.py", "worker/attempt/executor.py"]
    files += [f"safeurl/ports/{name}.py" for name in ports]
    assert sum(len((ROOT / name).read_text().splitlines()) for name in files) < 700


def test_every_test_is_in_a_folder_that_run_sh_names() -> None:
    """It runs two parts at the same time, and a test in neither part would not run."""
    run = (ROOT / "tests/run.sh").read_text()
    files = (path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
    folders = {path.parents[-3] for path in files}
    assert {Path("tests/unit"), Path("tests/integration")} <= folders
    assert [folder for folder in folders if f" {folder} " not in run] == []


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    """The project builds wherever its user's own package sources are."""
    found = {
        (str(path.relative_to(ROOT)), needle)
        for path in our_files()
        for text in [path.read_text(errors="replace")]
        for needle in (*HOSTS, *MACHINE_PATHS, *DOCKER_HOST.findall(text))
        if needle in text
    }
    assert found == set()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_exact_versions_with_hashes_and_nothing_else(lock: Path) -> None:
    """Each package has one version and at least one hash; no options, hosts or paths."""
    lines = lock.read_text().splitlines()
    heads = [number for number, line in enumerate(lines) if LOCKED_LINE.fullmatch(line)]
    assert heads
    assert all(HASH_LINE.fullmatch(lines[number + 1]) for number in heads)
    assert [
        line for line in lines if not LOCKED_LINE.fullmatch(line) and not HASH_LINE.fullmatch(line)
    ] == []


def test_the_locks_hold_everything_the_project_asks_for() -> None:
    """A dependency added to pyproject.toml without running docker/relock.sh is found here."""
    dependencies, extras, build = project()
    wanted = {
        RUNTIME_LOCK: [*dependencies, *extras["turso"], *build, "editables"],
        DEV_LOCK: [*dependencies, *extras["turso"], *extras["fetcher"], *extras["dev"], *build],
        FETCHER_LOCK: extras["fetcher"],
        SERVICE_LOCK: [*dependencies, *extras["turso"]],
    }
    for lock, requirements in wanted.items():
        versions = locked(lock)
        for requirement in map(Requirement, requirements):
            version = versions.get(canonicalize_name(requirement.name))
            assert version is not None, f"{lock.name} lacks {requirement}"
            assert requirement.specifier.contains(version), f"{lock.name} has {version}"


def test_the_locks_agree() -> None:
    """The tested versions are the installed ones: the development lock contains the others."""
    versions = locked(DEV_LOCK)
    assert locked(RUNTIME_LOCK).items() <= versions.items()
    assert locked(FETCHER_LOCK).items() <= versions.items()
    assert locked(SERVICE_LOCK).items() <= locked(RUNTIME_LOCK).items()


#: What nothing of ours imports: libsql-client lists the theme of its documentation, which needs
#: the rest; hatchling builds, and is no part of a service.
_DOCUMENTATION = {"alabaster", "babel", "docutils", "imagesize", "snowballstemmer"}
_BUILD = {"hatchling", "editables", "pathspec", "trove-classifiers"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_holds_what_is_never_imported(lock: Path) -> None:
    """No documentation tools anywhere, and no build tools in an image."""
    names = set(locked(lock))
    assert {name for name in names if name.startswith("sphinx")} == set()
    unwanted = _DOCUMENTATION if lock != SERVICE_LOCK else _DOCUMENTATION | _BUILD
    assert names & unwanted == set()


def test_the_service_image_is_made_of_its_lock() -> None:
    """Every wheel comes from the lock, without other requirements."""
    script = (ROOT / "docker/lib/images.sh").read_text()
    assert "SERVICE_LOCK=docker/service-requirements.lock\n" in script
    assert 'ensure_image service "$SERVICE_LOCK" stage_service' in script
    assert script.count("pip install") == script.count("--no-deps") == 2


def test_what_is_installed_has_what_it_requires() -> None:
    """The exceptions were left out on purpose; the client of libSQL is imported without them."""
    check = ROOT / "docker/lib/check_requirements.py"
    done = run(sys.executable, check, ROOT / "docker/left-out.txt")
    assert (done.returncode, done.stdout) == (0, "")
    done = run(
        sys.executable, "-c", "import libsql_client, sys; assert 'sphinx' not in sys.modules"
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_requirement_that_is_not_met_is_found(tmp_path: Path) -> None:
    """A missing requirement is found, and one that should have been left out too."""
    file = tmp_path / "left-out.txt"
    file.write_text("# a comment\nidna ; sys_platform == 'none'\n")
    done = run(sys.executable, ROOT / "docker/lib/check_requirements.py", file)
    assert done.returncode == 1
    assert "idna is installed, and should be left out." in done.stdout
    assert "libsql-client requires sphinx-press-theme" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_shell_script_parses(script: Path) -> None:
    """Bash finds no syntax error."""
    assert run("bash", "-n", script).stdout == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` reports nothing, and the exposure is rated low.

    An interpreter replaces the command, because nothing is installed in /opt/safeurl.
    """
    copy = tmp_path / unit.name
    text = unit.read_text()
    assert "ExecStart=/opt/safeurl/.venv/bin/safeurl " in text
    copy.write_text(text.replace("/opt/safeurl/.venv/bin/safeurl", sys.executable))
    verified = run("systemd-analyze", "verify", "--man=no", copy)
    assert (verified.returncode, verified.stdout) == (0, "")
    rated = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", copy)
    assert rated.returncode == 0, rated.stdout


def test_a_worker_has_the_time_to_end_its_scans() -> None:
    """Both systemd and compose wait longer than RQ does, which waits longer than an attempt."""
    longest = Settings.read({}).job_timeout.total_seconds()
    unit = (ROOT / "docker/systemd/safeurl-worker.service").read_text()
    compose = (ROOT / "docker/compose.yaml").read_text()
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) > longest
    assert int(re.findall(r"^    stop_grace_period: (\d+)s$", compose, re.MULTILINE)[0]) > longest


def test_gateway_and_worker_meet_in_one_folder() -> None:
    """The units of both name the same folder, and so do the two services of compose."""
    units = [ROOT / f"docker/systemd/safeurl-{name}.service" for name in ("gateway", "worker")]
    folders = [re.findall(r"EGRESS_DIR=(\S+)", unit.read_text()) for unit in units]
    assert folders == [["/run/safeurl-egress"]] * 2
    compose = (ROOT / "docker/compose.yaml").read_text()
    # Not below /run, which is empty after a reboot: Docker would make the folder anew, as root's.
    folder = "${EGRESS_DIR:-/var/lib/safeurl-egress}"
    assert f"EGRESS_DIR: {folder}\n" in compose
    assert compose.count(f'"{folder}:{folder}"') == 1
    assert len(re.findall(r"\*folder\b", compose)) == 2


def test_compose_passes_every_setting() -> None:
    """Values of `.env` reach the services, except for those that their containers decide."""
    compose = (ROOT / "docker/compose.yaml").read_text()
    passed = set(re.findall(r"^ +(\w+): \$\{\1:[-?]", compose, re.MULTILINE))
    fixed = {
        "SAFEURL_STATE_DIR",  # the image's volume
        "REDIS_HOST",  # the service valkey
        "REDIS_PORT",
        "EGRESS_CONTROL_USERS",  # the image's user for the worker
        "REDIS_USERNAME",  # each service is a user of its own
        "REDIS_PASSWORD",
        "REDIS_URL",  # the valkey of these services speaks no TLS
        "REDIS_TLS_CA",
        "REDIS_TLS_CERT",
        "REDIS_TLS_KEY",
        "DOCKER_SOCKET_PATH",  # mounted where the default expects it
        "API_HOST",  # all of the container's, published on loopback
        "API_PORT",  # the published one is set
        "ENABLE_WORKER",  # would need the Docker socket in what faces the network
    }
    passed -= {"REDIS_API_PASSWORD", "REDIS_WORKER_PASSWORD"}  # of the service valkey
    assert passed | fixed == SETTING_NAMES
    assert passed & fixed == set()
    assert "${API_PORT:-8321}:8321" in compose
    assert "${DOCKER_SOCKET_PATH:-/var/run/docker.sock}:/var/run/docker.sock" in compose


def test_compose_uses_our_images_and_gives_the_docker_socket_to_the_worker_alone() -> None:
    """No image must come from a registry, and a service on the network cannot reach Docker."""
    compose = (ROOT / "docker/compose.yaml").read_text()
    assert set(re.findall(r"image: (\S+)", compose)) == {"safeurl-service:latest"}
    services = re.split(
        r"^  ([\w-]+):\n", compose.partition("\nservices:\n")[2], flags=re.MULTILINE
    )
    bodies = dict(zip(services[1::2], services[2::2], strict=True))
    assert {"valkey", "api", "worker"} <= bodies.keys()
    assert [name for name, body in bodies.items() if "docker.sock" in body] == ["worker"]


def test_no_service_in_a_container_runs_python_code_of_the_state_folder() -> None:
    """The API may write to that folder, and the worker has access to the Docker socket.

    Python runs the `.pth` files of the user's home folder, and imports from the working folder.
    """
    text = (ROOT / "docker/service.Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    environment = " ".join(re.findall(r"(?m)^ENV (.*)$", text)).split()
    assert {"PYTHONNOUSERSITE=1", "PYTHONSAFEPATH=1"} <= set(environment)
    homes = re.findall(r":SafeURL:([^:]*):/usr/sbin/nologin", text)
    assert homes == ["/nonexistent"]
