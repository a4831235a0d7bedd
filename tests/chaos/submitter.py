"""Handing scans in while everything breaks, and remembering which were acknowledged."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

from safeurl.bootstrap import make_queue, open_service
from safeurl.errors import QueueUnavailableError, UnavailableError
from safeurl.service import Service
from safeurl.settings import Settings
from tests.support.pages import Handler, PageServer, Reply, Request, html

_MOST_AT_ONCE = 6
#: Scans under way; more would wait for their turn, and that is not what is measured here.
_MOST_OPEN = 16


def pages() -> PageServer:
    """Return a server of quick pages, slow ones, and ones with status 404 or 500."""
    routes: Mapping[str, Handler] = {
        "/quick": lambda _: html("<title>Quick</title><form><input type=password></form>"),
        "/slow": _slow,
        "/missing": lambda _: html("<title>Missing</title>", 404),
        "/broken": lambda _: html("<title>Broken</title>", 500),
    }
    return PageServer(dict(routes))


def _slow(request: Request) -> Reply:
    request.sleep(float(request.query["s"]))
    return html("<title>Slow</title>")


class Submitter:
    """Submits through the service, as every face does; also wakes workers twice for some."""

    def __init__(self, settings: Settings, server: PageServer, seed: int) -> None:
        """Store the address for submits and the pages."""
        self._settings = settings
        self._server = server
        self._random = random.Random(f"{seed} submits")  # noqa: S311 - a seed is what is wanted
        #: Every id for which `submit` returned.
        self.acknowledged: list[str] = []
        self.refused = 0
        self.unqueued = 0
        self.duplicates = 0

    async def run(self, scans: int, count_open: Callable[[], int]) -> None:
        """Submit so many scans, with a limit of open ones."""
        async with open_service(self._settings) as service:
            while len(self.acknowledged) < scans:
                if count_open() < _MOST_OPEN:
                    most = min(_MOST_AT_ONCE, scans - len(self.acknowledged))
                    await self._submit(service, self._random.randint(1, most))
                if self._random.random() < 0.2:
                    await self._deliver_again()
                await asyncio.sleep(self._random.uniform(0.0, 0.5))

    async def _submit(self, service: Service, count: int) -> None:
        urls = [self._url(len(self.acknowledged) + n) for n in range(count)]
        try:
            submission = await service.submit(urls, source="chaos")
        except UnavailableError:
            # Not acknowledged: it may be recorded or not, and nothing was promised.
            self.refused += 1
            await asyncio.sleep(0.5)
            return
        self.acknowledged += [scan.id for scan in submission.scans]
        self.unqueued += not submission.queued

    async def _deliver_again(self) -> None:
        if not self.acknowledged:
            return
        known = self.acknowledged[-40:]
        again = [scan for scan in self._random.choices(known, k=3) for _ in range(2)]
        queue = make_queue(self._settings)
        with contextlib.suppress(QueueUnavailableError):
            await queue.push(again)
            self.duplicates += len(again)
        await queue.close()

    def _url(self, number: int) -> str:
        paths = ("/quick", "/quick", "/quick", "/slow", "/slow", "/missing", "/broken")
        path = self._random.choice(paths)
        pause = f"&s={self._random.uniform(0.5, 2.0):.1f}" if path == "/slow" else ""
        return self._server.url(f"{path}?n={number}{pause}")
