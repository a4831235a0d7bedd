"""The rival people have at hand: a shell loop of `docker run --rm` of the fetcher's image."""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safeurl.model.report import encode_line
from tests.bench.compare.lab import Lab, Sample, sustained
from tests.bench.compare.processes import cpu_of_children
from tests.support.fetching import make_request
from tests.support.images import SOCKET_PATH
from worker.sandbox.options import EGRESS_MOUNT

#: Long enough for the slowest runtime on a busy machine.
_PER_SCAN_S = 10
_STOP_S = 3.0


@dataclass(frozen=True, slots=True)
class ShellLoop:
    """`xargs -P parallel` around `docker run --rm`, with SafeURL's image and caps."""

    parallel: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"docker run --rm, {self.parallel} at a time"

    def run(self, lab: Lab, scans: int) -> Sample:
        """Open the page so many times; a report that is cut or missing counts as lost."""
        with tempfile.TemporaryDirectory(dir=lab.folder) as name:
            folder = Path(name)
            return run_loop(lab, scans, self.parallel, _docker_run(lab, folder), folder)


def _docker_run(lab: Lab, folder: Path) -> list[str]:
    request = make_request(
        lab.url, allow_cidrs=(f"{lab.host}/32",), gateway=lab.egress_dir is not None
    )
    (folder / "request.json").write_bytes(encode_line(request))
    network = []
    if lab.egress_dir:
        network = ["--network", "none", "--volume", f"{lab.egress_dir}:{EGRESS_MOUNT}:ro"]
    command = ["docker", "-H", f"unix://{SOCKET_PATH}", "run", "--rm", "-i", *lab.caps, *network]
    return [*command, lab.defaults.fetcher_image]


def run_loop(lab: Lab, scans: int, parallel: int, command: list[str], folder: Path) -> Sample:
    """Run a command so many times, the request on its stdin, and read the reports it prints."""
    script = folder / "one.sh"
    # Bash tells the time by itself; a program for that would cost a process more.
    script.write_text(
        f"cd {shlex.quote(str(folder))}\n"
        # Its decimal point is the locale's.
        "LC_ALL=C\nbegan=$EPOCHREALTIME\n"
        f"{shlex.join(command).replace('SCAN_NUMBER', '$1')} <request.json >out.$1 2>err.$1\n"
        'echo "$began $EPOCHREALTIME" >times.$1\n'
    )
    loop = f"seq {scans} | xargs -P {parallel} -I N bash {shlex.quote(str(script))} N"
    with lab.meter.watch(cpu_of_children) as cpu:
        started = time.perf_counter()
        _run_group(["sh", "-c", loop], 60 + _PER_SCAN_S * scans)
        took = time.perf_counter() - started
    numbers = range(1, scans + 1)
    good = [n for n in numbers if b'"outcome":"ok"' in (folder / f"out.{n}").read_bytes()]
    times = [tuple(map(float, (folder / f"times.{n}").read_text().split())) for n in good]
    return Sample(
        scans=scans,
        lost=scans - len(good),
        per_second=sustained([ended for _, ended in times]),
        latencies_ms=[(ended - began) * 1000 for began, ended in times],
        cpu=cpu,
        took_s=took,
    )


def _run_group(command: list[str], timeout_s: float) -> None:
    """Run a command; if anything ends it early, end all processes that it has started."""
    # A group of its own: else xargs would go on alone when only its shell is killed.
    with subprocess.Popen(command, start_new_session=True) as shell:
        try:
            shell.wait(timeout_s)
        except BaseException:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    shell.wait(_STOP_S)
            raise
