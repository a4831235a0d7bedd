#!/usr/bin/env python3
"""Proves that a runtime gives sandboxes what they need: no network, and their gateway's socket.

`gvisor_proof.py RUNTIME IMAGE DOCKER…`, the last being the words that start the Docker client.
Runs one hardened container that connects to a unix socket in a read-only mount, says what is
wrong in one line, and exits with 1 if anything is. Only the standard library is needed.
"""

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

#: For the container as a whole.
TIMEOUT_S = 60.0
REMOVAL_S = 30.0
SOCKET = "proof.sock"
EXCERPT = 500

INSIDE = """
import json, os, socket
found = {"kernel": open("/proc/version").read(), "echo": "", "writable": True}
found["interfaces"] = [l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l]
try:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(20)
        channel.connect("/run/egress/proof.sock")
        found["echo"] = channel.recv(64).decode()
except OSError as error:
    found["error"] = str(error)
try:
    open("/run/egress/x", "w")
except OSError:
    found["writable"] = False
print(json.dumps(found))
"""


def container(name: str, runtime: str, image: str, folder: str) -> list[str]:
    """Return the client's arguments; the same walls as in worker/sandbox/options.py."""
    return [
        *("run", "--name", name),
        *("--label", "safeurl.managed=true", "--label", "safeurl.instance=gvisor-proof"),
        *("--runtime", runtime, "--network", "none", "--read-only", "--user", "65534:65534"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--pids-limit", "128"),
        *("--memory", "256m", "--memory-swap", "256m", "--cpus", "1", "--log-driver", "none"),
        *("--tmpfs", "/tmp:rw,noexec,nosuid,nodev,size=16m"),  # noqa: S108 - inside the container
        *("--mount", f"type=bind,source={folder},target=/run/egress,readonly"),
        *("--entrypoint", "python3", image, "-c", INSIDE),
    ]


def greet(listener: socket.socket, word: str) -> None:
    """Say the word to the first who connects, if anybody does."""
    try:
        with listener.accept()[0] as caller:
            caller.sendall(word.encode())
    except OSError:
        return  # nobody came in time, or the proof is over


def ask(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run the Docker client."""
    return subprocess.run(  # noqa: S603 - our own words, from docker/lib/gvisor.sh
        command, check=False, capture_output=True, text=True, timeout=timeout_s
    )


def run(runtime: str, image: str, docker: list[str], word: str) -> dict[str, Any]:
    """Return what the container found; a word waits for it on the socket."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder, SOCKET)
        listener.bind(str(path))
        # The container is nobody out here too.
        Path(folder).chmod(0o755)
        path.chmod(0o666)
        listener.listen()
        listener.settimeout(TIMEOUT_S)
        greeter = threading.Thread(target=greet, args=(listener, word), daemon=True)
        greeter.start()
        name = f"safeurl-proof-{secrets.token_hex(6)}"
        try:
            ran = ask([*docker, *container(name, runtime, image, folder)], TIMEOUT_S)
        finally:
            # Not `--rm`: a client that is killed for taking too long removes nothing.
            ask([*docker, "rm", "--force", name], REMOVAL_S)
    if ran.returncode:
        raise OSError(" ".join(ran.stderr.split())[-EXCERPT:] or f"status {ran.returncode}")
    return dict(json.loads(ran.stdout))


def faults(found: dict[str, Any], word: str) -> list[str]:
    """Return the faults of the runtime."""
    host = Path("/proc/version").read_text(encoding="utf-8")
    wrong = []
    if found["kernel"] == host:
        wrong.append("the container sees this host's own kernel")
    if set(found["interfaces"]) - {"lo"}:
        wrong.append(f"it has network interfaces: {', '.join(found['interfaces'])}")
    if found["echo"] != word:
        wrong.append(f"it cannot reach a unix socket of the host ({found.get('error', 'silence')})")
    if found["writable"]:
        wrong.append("it can write to a read-only mount")
    return wrong


def main(arguments: list[str]) -> str | None:
    """Run the proof; the returned text names the fault."""
    runtime, image, *docker = arguments
    word = secrets.token_hex(16)
    try:
        wrong = faults(run(runtime, image, docker, word), word)
    except subprocess.TimeoutExpired:
        wrong = [f"the container did not end within {TIMEOUT_S:.0f} s"]
    except (OSError, ValueError) as error:
        wrong = [f"the container failed: {error}"]
    return "; ".join(wrong) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
