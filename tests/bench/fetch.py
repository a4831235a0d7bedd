"""The cost of the gateway for a fetch: the same page, through it and directly over the bridge."""

import asyncio
from dataclasses import replace
from pathlib import Path
from statistics import median

from safeurl.model.report import FetchRequest
from safeurl.model.report_reader import ReportReader
from tests.support.fetching import make_request
from tests.support.gateway_sandbox import GatewaySandbox, gateway_sandbox
from tests.support.images import SOCKET_PATH
from tests.support.pages import PageServer, Reply
from tests.support.system import bridge_gateway
from worker.sandbox.docker_sandbox import DockerSandbox

_MIB = 1024 * 1024
_ROUNDS = 12


def gateway_cost(folder: Path) -> tuple[float, float]:
    """Return the median milliseconds of a fetch of 1 MiB directly and through the gateway.

    Both are the fetcher's own wall time, from its request line to its last line of evidence, in
    containers with the same caps; the rounds alternate.
    """
    host = bridge_gateway()
    page = Reply(b"<title>x</title>" + b"<p>words and words</p>\n" * (_MIB // 24))
    direct_ms: list[float] = []
    gateway_ms: list[float] = []
    with (
        PageServer({"/": lambda _: page}, host=host) as pages,
        gateway_sandbox(folder, "bench-fetch", [f"{host}/32"]) as made,
    ):
        for number in range(_ROUNDS):
            request = make_request(
                pages.url("/"), scan=f"bench-{number}", allow_cidrs=(f"{host}/32",)
            )
            direct_ms.append(asyncio.run(_direct(made, request)))
            report = made.fetch(pages.url("/"), allow_cidrs=(f"{host}/32",)).report
            assert report is not None
            gateway_ms.append(report.elapsed_ms)
    return median(direct_ms), median(gateway_ms)


async def _direct(made: GatewaySandbox, request: FetchRequest) -> float:
    settings = replace(made.settings, network="bridge")
    reader = ReportReader(request.scan, request.attempt)
    await DockerSandbox(settings, SOCKET_PATH).run(request, reader.feed, deadline_s=60)
    reader.close()
    assert reader.report is not None
    return reader.report.elapsed_ms
