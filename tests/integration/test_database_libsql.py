"""libSQL with faults: lost responses, a lost or refusing server; and the choice of transport."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.errors import (
    StoreBusyError,
    StoreUnavailableError,
)
from safeurl.model.audit import path_faults
from safeurl.state import Outcome, State
from tests.support.builders import (
    LEASE,
    NOW,
    WORKER,
    analysed,
    make_artefact,
    make_beat,
    make_ending,
    make_scan,
)
from tests.support.libsql_proxy import LibSQLProxy
from tests.support.sqld import Sqld

Scenario = Callable[[LibSQLStore], Awaitable[None]]

_TOKEN = "a-token-that-nobody-may-read"  # noqa: S105 - of no server


async def _play(
    url: str,
    scenario: Scenario,
    *,
    transport: str | None = None,
    retry_for_s: float = 20,
    auth_token: str | None = None,
) -> None:
    store = LibSQLStore(url, auth_token=auth_token, transport=transport, retry_for_s=retry_for_s)
    try:
        await scenario(store)
    finally:
        await store.close()


async def _migrate(store: LibSQLStore) -> None:
    await store.migrate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sqld]:
    """Return a running server with an empty database."""
    with Sqld(tmp_path / "sqld") as server:
        yield server


@pytest.mark.parametrize(
    ("scheme", "transport"), [("ws", "client"), ("http", "client"), ("http", "pipeline")]
)
async def test_a_lost_answer_loses_and_doubles_nothing(
    server: Sqld, scheme: str, transport: str
) -> None:
    """Each write takes effect on the server, its response is cut off, and the caller still wins."""
    scan = make_scan()
    with LibSQLProxy(server.port) as proxy:

        async def act(store: LibSQLStore) -> None:
            await store.migrate()

            proxy.drop_answers(1)
            await store.add([scan])

            proxy.drop_answers(2)
            won = await store.claim(scan.id, owner=WORKER, now=NOW, lease_until=NOW + LEASE)
            assert won is not None
            assert (won.version, won.attempt, won.lease_owner) == (1, 1, WORKER)

            proxy.drop_answers(1)
            assert await store.renew_lease(won, lease_until=NOW + 2 * LEASE)
            proxy.drop_answers(1)
            await store.append_audit(won, event="sandbox", detail="cold", now=NOW, actor=WORKER)
            proxy.drop_answers(1)
            seen = await analysed(store, won)
            assert seen is not None

            proxy.drop_answers(1)
            ending = make_ending(seen, artefacts=(make_artefact(),))
            ended = await store.finish(seen, ending, now=NOW, actor=WORKER)
            assert ended is not None
            assert (ended.state, ended.version) == (State.COMPLETED, 3)
            proxy.drop_answers(1)
            await store.record_heartbeat(make_beat())

            trail = await store.audit(scan.id)
            assert path_faults(trail) == []
            events = ["submitted", "transition", "sandbox", "transition", "transition"]
            assert [entry.event for entry in trail] == events
            assert await store.artefacts(scan.id) == [make_artefact()]
            assert await store.workers(since=NOW) == [make_beat()]

        await _play(f"{scheme}://{proxy.authority}", act, transport=transport)
        assert proxy.dropped == 8


async def test_a_lost_answer_hides_no_lost_race(server: Sqld) -> None:
    """If another worker won, the repeated claim reports it, though the first response was lost."""
    scan = make_scan()
    with LibSQLProxy(server.port) as proxy:

        async def act(store: LibSQLStore) -> None:
            await store.migrate()
            await store.add([scan])
            first = await store.claim(scan.id, owner="first", now=NOW, lease_until=NOW + LEASE)
            assert first is not None
            proxy.drop_answers(1)
            again = await store.claim(scan.id, owner="first", now=NOW, lease_until=NOW + LEASE)
            assert again is None
            proxy.drop_answers(1)
            late = await store.requeue(
                make_scan(id=scan.id, state=State.FETCHING, version=7),
                outcome=Outcome.LEASE_LOST,
                detail=None,
                run_after=NOW,
                now=NOW,
                actor="rescuer",
            )
            assert late is None
            assert await store.get(scan.id) == first

        await _play(f"http://{proxy.authority}", act, transport="pipeline")
        assert proxy.dropped == 2


@pytest.mark.parametrize("spared", range(3))
async def test_a_migration_whose_answer_is_lost_is_done_once(server: Sqld, spared: int) -> None:
    """If any of its three responses is lost, the repetition does the rest."""
    with LibSQLProxy(server.port) as proxy:

        async def act(store: LibSQLStore) -> None:
            proxy.drop_answers(1, after=spared)
            applied = await store.migrate()
            assert applied == ([] if spared == 2 else [step.number for step in migrations()])
            await store.ping()
            assert await store.page(limit=1) == []

        await _play(f"http://{proxy.authority}", act, transport="pipeline")
        assert proxy.dropped == 1


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_the_store_falls_over_to_the_pipeline_by_itself(server: Sqld, scheme: str) -> None:
    """505 to WebSockets and 404 to /v1 are received once; then all requests use /v3."""
    with LibSQLProxy(server.port, as_turso=True) as proxy:

        async def act(store: LibSQLStore) -> None:
            await store.migrate()
            await store.add([make_scan()])
            assert len(await store.page(limit=2)) == 1

        await _play(f"{scheme}://{proxy.authority}", act)
        heads = [head.split()[1] for head in proxy.heads]
    assert heads[0] != b"/v3/pipeline"
    assert set(heads[1:]) == {b"/v3/pipeline"}


async def test_the_pipeline_falls_back_to_its_older_version(server: Sqld) -> None:
    """A server without /v3 gets one such request, then only /v2."""
    with LibSQLProxy(server.port, lacks=b"/v3") as proxy:

        async def act(store: LibSQLStore) -> None:
            await store.migrate()
            await store.ping()

        await _play(f"http://{proxy.authority}", act, transport="pipeline")
        heads = [head.split()[1] for head in proxy.heads]
    assert heads.count(b"/v3/pipeline") == 1
    assert set(heads[1:]) == {b"/v2/pipeline"}


async def test_batches_that_find_the_older_version_at_once(server: Sqld) -> None:
    """All of them continue with /v2: no batch reverts the discovery of another."""
    await _play(f"http://{server.authority}", _migrate, transport="pipeline")
    with LibSQLProxy(server.port, lacks=b"/v3") as proxy:

        async def act(store: LibSQLStore) -> None:
            await asyncio.gather(*(store.ping() for _ in range(5)))
            await store.ping()

        await _play(f"http://{proxy.authority}", act, transport="pipeline")
        heads = [head.split()[1] for head in proxy.heads]
    assert heads.count(b"/v2/pipeline") == 6
    assert heads[-1] == b"/v2/pipeline"


@pytest.mark.parametrize("transport", ["client", "pipeline"])
@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_server_that_is_gone_is_unavailability(
    tmp_path: Path, scheme: str, transport: str
) -> None:
    """There is no server: our error is raised after the time for retries, with its cause."""
    gone = Sqld(tmp_path / "gone")
    gone.start()
    gone.stop()

    async def act(store: LibSQLStore) -> None:
        for ask in (
            store.ping,
            lambda: store.record_heartbeat(make_beat()),
            lambda: store.add([make_scan()]),
        ):
            with pytest.raises(StoreBusyError, match="cannot be reached") as caught:
                await ask()
            assert str(caught.value).endswith(f" (http://{gone.authority}).")
            assert caught.value.__cause__ is not None

    await _play(f"{scheme}://{gone.authority}", act, transport=transport, retry_for_s=1.0)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_server_that_comes_back_is_used_again(tmp_path: Path, scheme: str) -> None:
    """After a kill and a restart between two calls, it still has the acknowledged data."""
    scan = make_scan()
    with Sqld(tmp_path / "sqld") as server:

        async def act(store: LibSQLStore) -> None:
            await store.migrate()
            await store.add([scan])
            server.stop()
            await asyncio.to_thread(server.start)
            assert await store.get(scan.id) == scan
            await store.record_heartbeat(make_beat())

        await _play(f"{scheme}://{server.authority}", act)


async def test_a_server_that_hangs_is_left_after_our_time_limit() -> None:
    """It accepts the connection and sends nothing."""

    async def silent(url: str, transport: str) -> None:
        store = LibSQLStore(url, transport=transport, retry_for_s=0.6)
        with pytest.raises(StoreBusyError):
            await store.ping()
        await store.close()

    ended = asyncio.Event()

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await silent(f"ws://127.0.0.1:{port}", "client")
    await silent(f"http://127.0.0.1:{port}", "client")
    await silent(f"http://127.0.0.1:{port}", "pipeline")
    ended.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("transport", ["client", "pipeline"])
async def test_the_token_is_sent_and_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    """A server that needs another token refuses; no text of the error chain contains ours."""
    # A random Ed25519 public key: the server requires a JWT that is signed by it.
    monkeypatch.setenv("SQLD_AUTH_JWT_KEY", "zaMv-aFGmB7PXkjM4IrMdF6B5zCYEiEGXW3RgMjNAtc")
    with Sqld(tmp_path / "sqld") as server:

        async def act(store: LibSQLStore) -> None:
            with pytest.raises(StoreUnavailableError, match="TURSO_AUTH_TOKEN") as caught:
                await store.ping()
            error: BaseException | None = caught.value
            while error is not None:
                assert _TOKEN not in str(error)
                error = error.__cause__ or error.__context__

        for scheme in ("http", "ws"):
            url = f"{scheme}://{server.authority}"
            await _play(url, act, transport=transport, auth_token=_TOKEN, retry_for_s=5)
