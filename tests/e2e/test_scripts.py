"""What the set-up scripts say and do, each run in a shell of its own."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("ui", "apt", "python", "engine", "base_image")


def _shell(
    script: str, folder: Path = ROOT, timeout_s: float = 60.0, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run this with the functions of docker/lib at hand, in a folder."""
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
    """The engine is the one that `.env` names to safeurl; what stands there is never run."""
    (tmp_path / ".env").write_text(f"{line}\n")
    assert _shell('echo "$DOCKER_SOCKET"', tmp_path).stdout == f"{value}\n"
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


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


def test_an_installed_engine_is_to_be_started_not_installed() -> None:
    """Where dockerd is there, who may not start it is told how, by the means this system has."""
    said = _shell("what_to_do_without_root").stdout
    assert "only root may start it: run 'sudo s" in said
    assert "install" not in said
