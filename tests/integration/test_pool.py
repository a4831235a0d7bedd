"""The warm pool with a real engine and a real gateway: claims, losses, and what is left."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.sandbox import StartKind
from safeurl.model.worker import WarmPool
from safeurl.settings import Settings
from safeurl.state import Outcome
from tests.support.images import SOCKET_PATH, docker_client, script_image
from tests.support.pages import PageServer, html
from tests.support.pool import WAIT_S, PoolProcess, pool_process
from tests.support.sandbox import ScriptedSandbox
from tests.support.sandbox_lab import instance_name
from worker.runtime.heartbeat import Heartbeat
from worker.sandbox import labels
from worker.sandbox.pool import protocol
from worker.sandbox.reaper import MIN_AGE, Reaper

_LOOPBACK = ("127.0.0.0/8",)

#: A worker that is going to be killed; it prints a line when it has claimed a member.
_CLAIMER = """
import sys, time
from pathlib import Path
from worker.sandbox.pool.client import HandedMember, PoolClient

handed = PoolClient(Path(sys.argv[1])).claim(sys.argv[2], sys.argv[3], 1)
assert isinstance(handed, HandedMember), handed
print(handed.container_id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[PoolProcess]:
    """Start a pool of two members."""
    with pool_process(tmp_path, instance_name()) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def is_gone(container_id: str) -> bool:
    """Return True if the engine does not know the container."""
    with docker_client() as client:
        return not client.api.containers(all=True, filters={"id": container_id})


def test_a_member_fetches_a_page_like_a_sandbox_of_its_own(tmp_path: Path, runtime: str) -> None:
    """Warm and cold give the same report and evidence; the pool fills up again."""
    with (
        pool_process(tmp_path, instance_name(), runtime=runtime) as pool,
        PageServer(routes={"/": lambda _request: html("<title>Warm</title>hello")}) as pages,
    ):
        cold = pool.attempt(pages.url(), _LOOPBACK, is_warm=False)
        pool.wait_for(2)
        warm = pool.attempt(pages.url(), _LOOPBACK)
        assert (cold.start_kind, warm.start_kind) == (StartKind.COLD, StartKind.WARM)
        assert cold.report is not None
        assert warm.report is not None
        assert warm.report.outcome is cold.report.outcome is Outcome.OK
        assert warm.evidence.page == cold.evidence.page
        assert warm.evidence.body == cold.evidence.body
        assert [hop.url for hop in warm.evidence.hops] == [hop.url for hop in cold.evidence.hops]
        assert warm.exit.stderr_tail == ""
        facts = pool.wait_for(2)
        assert facts.anchors > 0
        assert (facts.hits, facts.misses, facts.failed_starts) == (1, {}, 0)
        assert is_gone(warm.exit.container_id or "")


def test_the_heartbeat_shows_the_pool(pool: PoolProcess) -> None:
    """The worker's host has the pool's size and counters in its list of parts."""
    pool.wait_for(2)
    with pool.claim():
        pass
    pool.wait_for(2)
    settings = Settings.read({"SAFEURL_STATE_DIR": str(pool.folder.parent), "POOL_SIZE": "2"})
    store = MemoryStore()

    async def beat() -> WarmPool | None:
        await Heartbeat(settings, store, ScriptedSandbox(), "w1", gateway_start_s=0.0).send()
        [sent] = await store.workers(since=datetime.now(UTC) - timedelta(minutes=1))
        return sent.parts.pool

    assert asyncio.run(beat()) == WarmPool(size=2, target=2, hits=1, misses=0)


def test_a_claim_names_the_container_and_a_release_removes_it(pool: PoolProcess) -> None:
    """The name shows the attempt, and the socket's id was a label from the start."""
    pool.wait_for(2)
    with pool.claim("0197-named", 3) as handed, docker_client() as client:
        container = client.containers.get(labels.container_name("0197-named", 3))
        assert container.id == handed.container_id
        assert container.labels[labels.EGRESS] == handed.endpoint.id
        assert handed.release()
    assert is_gone(handed.container_id)


def test_a_claim_with_another_key_gets_nothing(pool: PoolProcess) -> None:
    """A worker with other limits starts its own sandboxes."""
    pool.wait_for(2)
    assert pool.client.claim("another", "0197-key", 1) == protocol.OTHER_KEY
    assert pool.wait_for(2).misses == {protocol.OTHER_KEY: 1}


def test_the_member_of_a_killed_worker_is_removed_and_never_used_again(pool: PoolProcess) -> None:
    """Also if it is killed before it has sent a byte: nobody can know that."""
    pool.wait_for(2)
    scan = f"killed-{os.getpid()}"
    command = [sys.executable, "-c", _CLAIMER, str(pool.folder), pool.key, scan]
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as worker:
        assert worker.stdout is not None
        container_id = worker.stdout.readline().strip()
        assert container_id
        worker.send_signal(signal.SIGKILL)
    until(lambda: is_gone(container_id))
    pool.wait_for(2)
    with pool.claim() as first, pool.claim() as second:
        assert container_id not in {first.container_id, second.container_id}


def test_a_killed_pool_leaves_nothing_to_the_next_one(pool: PoolProcess) -> None:
    """Workers start their own sandboxes meanwhile; then there are new members."""
    pool.wait_for(2)
    running = pool.claim("0197-outlives", 1)
    before = set(pool.containers()) - {labels.container_name("0197-outlives", 1)}
    pool.kill()
    with PageServer(routes={"/": lambda _request: html("<title>Cold</title>hello")}) as pages:
        cold = pool.attempt(pages.url(), _LOOPBACK)
        assert cold.start_kind is StartKind.COLD
        pool.start()
        pool.wait_for(2)
        after = set(pool.containers())
        assert not before & after
        # A claimed one is its attempt's, which removes it without the pool.
        assert labels.container_name("0197-outlives", 1) in after
        with running:
            assert not running.release()
        with docker_client() as client:
            client.containers.get(running.container_id).remove(force=True)
        assert pool.attempt(pages.url(), _LOOPBACK).start_kind is StartKind.WARM


def test_the_reaper_removes_what_a_killed_pool_has_left(pool: PoolProcess) -> None:
    """Also if no pool is started any more; while one runs, its containers stay."""
    pool.wait_for(2)
    reaper = Reaper(SOCKET_PATH, pool.settings.instance, pool.client)

    async def is_over(_scan: str, _attempt: int) -> bool:
        return False

    def sweep() -> list[str]:
        return asyncio.run(reaper.sweep(lambda: datetime.now(UTC) + MIN_AGE, is_over))

    assert sweep() == []
    before = pool.containers()
    assert len(before) > 2
    pool.kill()
    assert sorted(sweep()) == sorted(before)
    pool.start()
    pool.wait_for(2)


def test_members_of_a_lost_gateway_are_replaced(pool: PoolProcess) -> None:
    """Their sockets are gone with it."""
    pool.wait_for(2)
    before = set(pool.containers())
    pool.gateway.kill()
    pool.wait_for(0)
    pool.gateway.start()
    pool.wait_for(2)
    members = {name for name in pool.containers() if "pool" in name}
    assert not members & before
    with PageServer(routes={"/": lambda _request: html("<title>Warm</title>hello")}) as pages:
        assert pool.attempt(pages.url(), _LOOPBACK).start_kind is StartKind.WARM


def test_a_member_that_ends_is_replaced(pool: PoolProcess) -> None:
    """It is never handed out."""
    pool.wait_for(2)
    with docker_client() as client:
        members = [name for name in pool.containers() if "pool" in name]
        for name in members:
            client.containers.get(name).kill()
        until(lambda: not set(members) & set(pool.containers()))
    pool.wait_for(2)


def test_members_of_an_older_image_are_replaced(tmp_path: Path) -> None:
    """The tag may name another image at any time."""
    tag = f"safeurl-pool-test:{os.getpid()}"
    with docker_client() as client:
        original = client.images.get(Settings.read({}).fetcher_image)
        original.tag(tag)
        try:
            with pool_process(tmp_path, instance_name(), image=tag) as pool:
                pool.wait_for(2)
                container = client.containers.create(tag, labels={labels.MANAGED: "true"})
                changed = container.commit(changes=["LABEL safeurl.test=changed"])
                container.remove()
                changed.tag(tag)
                until(lambda: _images(pool) == {changed.id})
                pool.wait_for(2)
        finally:
            client.images.remove(tag, force=True)


def _images(pool: PoolProcess) -> set[str]:
    """Return the images of the members that exist."""
    wanted = [*labels.instance_filter(pool.settings.instance), labels.EGRESS]
    with docker_client() as client:
        listed = client.api.containers(all=True, filters={"label": wanted})
    return {each["ImageID"] for each in listed}


@pytest.mark.parametrize("then", ["", "; print(1, flush=True); time.sleep(600)"])
def test_members_that_do_not_wait_are_started_with_pauses(tmp_path: Path, then: str) -> None:
    """Those that end or write by themselves count as failed starts, and nothing of them is left."""
    script = f'import time; print(\'{{"type":"ready"}}\', flush=True){then}'
    with (
        script_image(script) as image,
        pool_process(tmp_path, instance_name(), size="1", image=image) as pool,
    ):
        until(lambda: (facts := pool.client.facts()) is not None and facts.failed_starts > 2)


def test_members_are_replaced_after_their_time(tmp_path: Path) -> None:
    """A member waits no longer than its time to live."""
    with pool_process(tmp_path, instance_name(), size="1", ttl_s=1) as pool:
        pool.wait_for(1)
        [first] = [name for name in pool.containers() if "pool" in name]
        until(lambda: first not in pool.containers())
        until(lambda: (facts := pool.client.facts()) is not None and facts.starts > 1)


def test_each_handed_member_has_its_own_descriptor_and_answers(pool: PoolProcess) -> None:
    """A member whose attempt closes its stream ends by itself: nobody else holds the stream."""
    pool.wait_for(2)
    with pool.claim() as handed, docker_client() as client:
        handed.attached.close()
        ended = client.containers.get(handed.container_id).wait(timeout=WAIT_S)
        assert ended["StatusCode"] != 0
        assert handed.release()
