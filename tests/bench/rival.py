"""The rival: a shell loop around `docker run --rm` of the same image with the same caps."""

import subprocess
import tempfile
import time
from pathlib import Path

from safeurl.model.report import encode_line
from safeurl.settings import Settings
from tests.support.fetching import make_request
from tests.support.system import bridge_gateway

_LABEL = "safeurl.bench=rival"


def shell_loop(url: str, count: int, parallel: int) -> tuple[float, int]:
    """Return pages opened per second by `xargs -P parallel docker run --rm`, and reports lost.

    A loop like this does not notice a report that is cut or missing, so we count them.
    """
    settings = Settings.read({})
    request = make_request(url, allow_cidrs=(f"{bridge_gateway()}/32",))
    memory = f"{settings.container_memory_limit_mb}m"
    with tempfile.TemporaryDirectory() as folder:
        line = Path(folder) / "request.json"
        line.write_bytes(encode_line(request))
        run = (
            f"docker run --rm -i --label {_LABEL} --memory {memory} --memory-swap {memory} "
            f"--cpus {settings.container_cpu_limit} --pids-limit {settings.container_pids_limit} "
            "--read-only --tmpfs /tmp:noexec,nosuid,nodev,size=16m --cap-drop ALL "
            "--security-opt no-new-privileges --user 65534:65534 --log-driver none "
            f"{settings.fetcher_image} < {line} > {folder}/out.$1 "
        )
        script = f"seq {count} | xargs -P {parallel} -I N sh -c '{run}' sh N"
        started = time.perf_counter()
        subprocess.run(["sh", "-c", script], check=False, timeout=60 + 5 * count)  # noqa: S607 - the shell loop is the rival
        took = time.perf_counter() - started
        reports = [Path(folder, f"out.{n}").read_bytes() for n in range(1, count + 1)]
        lost = sum(b'"outcome":"ok"' not in report for report in reports)
    return (count - lost) / took, lost
