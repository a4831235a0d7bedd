"""The floor: runc alone, without an engine, on the unpacked image of the fetcher."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safeurl.model.report import encode_line
from tests.bench.compare.lab import LABEL, Lab, Sample, docker
from tests.bench.compare.shell_loop import run_loop
from tests.support.fetching import make_request

_PERIOD_US = 100_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BareRunc:
    """`runc run` of the same program with the same caps, and the host's network."""

    parallel: int
    bundle: Path

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"runc alone (host's network), {self.parallel} at a time"

    def run(self, lab: Lab, scans: int) -> Sample:
        """Open the page so many times."""
        with tempfile.TemporaryDirectory(dir=lab.folder) as name:
            folder = Path(name)
            request = make_request(lab.url, allow_cidrs=(f"{lab.host}/32",))
            (folder / "request.json").write_bytes(encode_line(request))
            root = str(self.bundle / "state")
            command = ["runc", "--root", root, "run", "--bundle", str(self.bundle)]
            # The cgroups of two containers must not be the same.
            command.append(f"safeurl-bench-{os.getpid()}-SCAN_NUMBER")
            return run_loop(lab, scans, self.parallel, command, folder)


def reason_without() -> str | None:
    """Return why runc cannot be run alone here; None if it can."""
    if os.geteuid() != 0:
        return "it needs root"
    return None if shutil.which("runc") else "there is no program runc"


@contextmanager
def unpacked(lab: Lab) -> Iterator[Path]:
    """Unpack the image next to a configuration with SafeURL's caps; remove it at the end."""
    with tempfile.TemporaryDirectory(dir=lab.folder) as name:
        bundle = Path(name)
        (bundle / "rootfs").mkdir()
        _export(lab.defaults.fetcher_image, bundle / "rootfs")
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)  # noqa: S607 - the distribution's
        config = bundle / "config.json"
        config.write_text(json.dumps(_configured(json.loads(config.read_text()), lab)))
        try:
            yield bundle
        finally:
            _delete_all(bundle / "state")


def _export(image: str, target: Path) -> None:
    container = docker("create", "--label", f"{LABEL}=export", image)
    try:
        archive = target.with_suffix(".tar")
        docker("export", "--output", str(archive), container)
        subprocess.run(["tar", "-xf", archive, "-C", target], check=True)  # noqa: S607 - the system's
        archive.unlink()
    finally:
        docker("rm", "--force", container)


def _configured(config: dict[str, Any], lab: Lab) -> dict[str, Any]:
    image = json.loads(docker("image", "inspect", lab.defaults.fetcher_image))[0]["Config"]
    process, linux = config["process"], config["linux"]
    process["terminal"] = False
    process["args"] = [*(image["Entrypoint"] or []), *(image["Cmd"] or [])]
    process["env"] = list(image["Env"] or [])
    process["user"] = {"uid": 65534, "gid": 65534}
    process["capabilities"] = {kind: [] for kind in process["capabilities"]}
    config["root"]["readonly"] = True
    options = ["noexec", "nosuid", "nodev", "size=16m"]
    tmpfs = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options}  # noqa: S108 - in the container
    config["mounts"].append(tmpfs)
    memory = lab.defaults.container_memory_limit_mb * _MIB
    linux["resources"] |= {
        "memory": {"limit": memory, "swap": memory},
        "cpu": {
            "period": _PERIOD_US,
            "quota": round(lab.defaults.container_cpu_limit * _PERIOD_US),
        },
        "pids": {"limit": lab.defaults.container_pids_limit},
    }
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] != "network"]
    return config


def _delete_all(root: Path) -> None:
    """Remove containers of a run that was cut off."""
    for each in root.glob("*"):
        subprocess.run(
            ["runc", "--root", root, "delete", "--force", each.name],  # noqa: S607 - as above
            check=False,
            capture_output=True,
        )
