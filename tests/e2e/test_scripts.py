"""The output and the effects of the set-up scripts, each in its own shell."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.fake_engine import engine
from tests.support.images import BASE_IMAGE, docker_client
from tests.support.user import STRANGER, needs_root

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("ui", "apt", "python", "engine", "base_image", "tools")


def _shell(
    script: str, folder: Path = ROOT, timeout_s: float = 60.0, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run this in a folder, with the functions of docker/lib."""
    sources = "".join(f". {ROOT}/docker/lib/{part}.sh\n" for part in _PARTS)
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", sources + script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("DOCKER_SOCKET_PATH=/run/a.sock", "/run/a.sock"),
        ("export DOCKER_SOCKET_PATH = /run/a.sock  # mine", "/run/a.sock"),
        ('DOCKER_SOCKET_PATH="/run/a b.sock" # mine', "/run/a b.sock"),
        ("DOCKER_SOCKET_PATH=$(touch ran)", "$(touch ran)"),
        ("DOCKER_SOCKET_PATH=/run/a.sock\nDOCKER_SOCKET_PATH=/run/b.sock", "/run/b.sock"),
        ("#DOCKER_SOCKET_PATH=/run/a.sock", "/var/run/docker.sock"),
        ("DOCKER_SOCKET_PATH=", "/var/run/docker.sock"),
        ("OTHER=1", "/var/run/docker.sock"),
    ],
)
def test_scripts_read_env_as_text(tmp_path: Path, line: str, value: str) -> None:
    """The engine is the one that `.env` names for safeurl; its text is never executed."""
    (tmp_path / ".env").write_text(f"{line}\n")
    assert _shell('echo "$DOCKER_SOCKET"', tmp_path).stdout == f"{value}\n"
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_env_that_others_can_write_stops_the_scripts(tmp_path: Path, mode: int) -> None:
    """It could name another user's engine; the message names the remedy."""
    (tmp_path / ".env").write_text("DOCKER_SOCKET_PATH=/run/a.sock\n")
    (tmp_path / ".env").chmod(mode)
    done = _shell('echo "$DOCKER_SOCKET"', tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"{tmp_path}/.env is not yours alone" in done.stderr
    assert "chmod go-w .env" in done.stderr


@needs_root
def test_an_env_of_another_user_stops_the_scripts(tmp_path: Path) -> None:
    """Its owner could write it."""
    (tmp_path / ".env").write_text("DOCKER_SOCKET_PATH=/run/a.sock\n")
    os.chown(tmp_path / ".env", STRANGER, STRANGER)
    assert _shell('echo "$DOCKER_SOCKET"', tmp_path).returncode == 78


def test_the_environment_comes_before_env(tmp_path: Path) -> None:
    """As in safeurl itself."""
    (tmp_path / ".env").write_text("DOCKER_SOCKET_PATH=/run/a.sock\n")
    done = _shell('echo "$DOCKER_SOCKET"', tmp_path, DOCKER_SOCKET_PATH="/run/b.sock")
    assert done.stdout == "/run/b.sock\n"


def test_a_stale_pid_file_names_no_engine(tmp_path: Path) -> None:
    """After a crash its number may be another process's; that is not taken for an engine."""
    file = tmp_path / "docker.pid"
    file.write_text(str(os.getpid()))
    done = _shell(f"ENGINE_PIDFILE={file}; engine_pid || echo none")
    assert (done.stdout, done.stderr) == ("none\n", "")


def test_an_environment_of_another_python_is_made_anew(tmp_path: Path) -> None:
    """If the system's Python was replaced in place, no installed package is found."""
    venv.create(tmp_path / ".venv", with_pip=False)
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    asked = 'echo "dev $(venv_key)" >"$VENV_STAMP"; venv_is_current dev && echo current || echo old'
    assert _shell(asked, tmp_path).stdout == "old\n"
    found = next(tmp_path.glob(".venv/lib/python3.*/site-packages"))
    (found / "all.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    assert _shell(asked, tmp_path).stdout == "current\n"


def test_an_installed_engine_is_to_be_started_not_installed() -> None:
    """If dockerd exists, a user who may not start it gets the right command for this system."""
    said = _shell("what_to_do_without_root").stdout
    assert "only root may start it: run 'sudo s" in said
    assert "install" not in said


def test_an_engine_that_no_client_speaks_with_is_not_taken_for_none(tmp_path: Path) -> None:
    """If the engine is much newer than the client, it still counts, and no other one is started."""
    client, socket_path = tmp_path / "bin/docker", tmp_path / "docker.sock"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\nexit 1\n")
    client.chmod(0o755)
    with engine(socket_path, ApiVersion="1.52", MinAPIVersion="1.44"):
        done = _shell(
            f"PATH={client.parent}:$PATH; working_client() {{ return 1; }};"
            " SETUP_SENTENCE=/dev/stdout; ensure_engine",
            DOCKER_SOCKET_PATH=str(socket_path),
        )
    assert done.returncode == 78, done.stdout + done.stderr
    assert f"The Docker engine at {socket_path} is fake (API 1.44 to 1.52)" in done.stdout
    assert "docker-cli" in done.stdout


@pytest.mark.parametrize(
    ("program", "snap"),
    [("/usr/bin/snap", True), ("/snap/docker/1/bin/docker", True), ("/bin/true", False)],
)
def test_docker_as_a_snap_is_refused(tmp_path: Path, program: str, *, snap: bool) -> None:
    """It sees neither this folder nor the gateway's, and would fail without saying why."""
    (tmp_path / "docker").symlink_to(program)
    done = _shell(f"SETUP_SENTENCE=/dev/stdout; refuse_snap {tmp_path}/docker")
    assert (done.returncode == 78) == snap, done.stderr
    assert ("snap" in done.stdout) == snap


#: As apt is on a bare machine: it knows these packages once its lists are fetched.
_APT = """
may_install() { true; }
apt-get() { lists=fetched; echo refreshed >&2; }
apt-cache() { [ "${lists:-}" ] && case " $known " in *" $2 "*) ;; *) false ;; esac; }
SETUP_SENTENCE=/dev/stdout
"""


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        ("docker-compose docker-compose-v2", "docker-compose-v2\n"),
        ("docker-compose", "docker-compose\n"),
        ("docker", "none\n"),
    ],
)
def test_compose_is_whichever_package_apt_knows(known: str, chosen: str) -> None:
    """Distributions differ in its name, and a bare machine has to fetch its lists first."""
    asked = "first_known docker-compose-v2 docker-compose || echo none"
    done = _shell(f"known='{known}'; {_APT} {asked}")
    assert (done.stdout, done.stderr) == (chosen, "refreshed\n")


def test_a_browser_that_apt_does_not_know_is_asked_for() -> None:
    """In a sentence, not as apt's error."""
    done = _shell(f"known=docker; {_APT} explain_if_unknown chromium-headless-shell")
    assert done.returncode == 78, done.stderr
    assert "install Chromium or Chrome" in done.stdout


def test_a_base_is_made_from_an_image_of_ones_own() -> None:
    """An image of a registry or BASE_IMAGE is processed: the result has Python and its recipe."""
    tag = f"safeurl-base-test-{secrets.token_hex(4)}:latest"
    with docker_client() as docker:
        try:
            done = _shell(
                f'BASE_TAG={tag}; ensure_base_image; test "$(image_label {tag} safeurl.recipe)" ='
                f' "$(base_recipe)"; dk run --rm --network none {tag} python3 -c "print(6 * 7)"',
                BASE_IMAGE=BASE_IMAGE,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines()[-1] == "42"
        finally:
            if docker.images.list(tag):
                docker.images.remove(tag)


_DIGEST = "sha256:" + "5f" * 32
#: An engine whose images came from a registry, but for those named `local…`; it prints each build.
_REGISTRY = f"""
dk() {{
    case "$*" in
        *RepoDigests*local*) echo ;;
        *RepoDigests*) printf '%s\n' other/python@{"sha256:" + "00" * 32} "${{!#%:*}}@{_DIGEST}" ;;
        build*) echo "$*" ;;
    esac
}}
note() {{ echo "note: $*"; }}
"""


@pytest.mark.parametrize(
    ("image", "source"),
    [
        ("python:3.11-slim-bookworm", f"python@{_DIGEST}"),
        ("registry.example:5000/team/python:3", f"registry.example:5000/team/python@{_DIGEST}"),
        (f"python@{_DIGEST}", f"python@{_DIGEST}"),
    ],
)
def test_a_base_from_a_registry_is_made_by_digest(image: str, source: str) -> None:
    """A tag may change between pull and build; the digest is printed and kept as a label."""
    done = _shell(f"{_REGISTRY} base_from_image {image}")
    assert done.returncode == 0, done.stderr
    said, built = done.stdout.splitlines()
    assert said == f"note: base image: {source}"
    assert f"--build-arg SOURCE_IMAGE={source} " in built
    assert f"--label org.opencontainers.image.base.digest={_DIGEST} " in built
    assert f"--label org.opencontainers.image.base.name={image} " in built


def test_a_local_base_is_said_to_have_no_digest() -> None:
    """Nothing is claimed of an image that no registry gave."""
    done = _shell(f"{_REGISTRY} base_from_image local:1")
    assert done.returncode == 0, done.stderr
    said, built = done.stdout.splitlines()
    assert "no digest" in said
    assert "--build-arg SOURCE_IMAGE=local:1 " in built
    assert "base.digest" not in built


@pytest.mark.parametrize(
    ("pin", "given", "wanted"),
    [
        (None, "", "python:3.11-slim-bookworm"),
        ("", "", "python:3.11-slim-bookworm"),
        (f"# why\npython@{_DIGEST}\n", "", f"python@{_DIGEST}"),
        (f"python@{_DIGEST}\n", "mine:1", "mine:1"),
        ("python:3.11\n", "", None),
        (f"python@{_DIGEST}\nother@{_DIGEST}\n", "", None),
    ],
)
def test_a_file_may_pin_the_base(
    tmp_path: Path, pin: str | None, given: str, wanted: str | None
) -> None:
    """Only by digest; BASE_IMAGE comes first; a value that is not a digest ends the set-up."""
    if pin is not None:
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker/base-image.digest").write_text(pin)
    done = _shell("SETUP_SENTENCE=/dev/stdout; wanted_image", tmp_path, BASE_IMAGE=given)
    if wanted is None:
        assert done.returncode == 78, done.stdout
        assert "name@sha256" in done.stdout
    else:
        assert (done.returncode, done.stdout) == (0, f"{wanted}\n"), done.stderr


def test_packages_are_unpacked_on_a_disk_and_with_no_descriptor_of_ours() -> None:
    """If our descriptors were open, mmdebstrap's would have two digits, which `sh` cannot use."""
    done = _shell(
        "exec 9>/dev/null; unset TMPDIR\n"
        'mmdebstrap() { echo "in $TMPDIR"; for each in 3 9; do ! : >&$each || echo open; done; }\n'
        "make_root .cache"
    )
    assert (done.stdout, done.returncode) == ("in /var/tmp\n", 0), done.stderr


def _quickstart(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the first command of README with a separate state folder."""
    return _shell(
        f"exec bash {ROOT}/docker/quickstart.sh {' '.join(arguments)}",
        ROOT,
        240.0,
        SAFEURL_STATE_DIR=str(folder),
        **environ,
    )


def test_quickstart_ends_with_a_verdict_for_its_demonstration(tmp_path: Path) -> None:
    """Standard output has only the result; the verdict suspicious is not an error here."""
    done = _quickstart(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b(SUSPICIOUS|MALICIOUS)\b", done.stdout, re.IGNORECASE), done.stdout
    assert "Scanning a harmless imitation" in done.stderr
    assert "What comes next" in done.stderr


def test_quickstart_says_that_a_url_cannot_be_reached(tmp_path: Path) -> None:
    """There is no server: the message says FAILED, with the exit code of `safeurl scan`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = _quickstart(tmp_path, f"http://127.0.0.1:{port}/", EGRESS_ALLOW_CIDRS="127.0.0.1/32")
    assert done.returncode == 30, done.stdout + done.stderr
    assert "refused" in done.stdout.lower(), done.stdout
