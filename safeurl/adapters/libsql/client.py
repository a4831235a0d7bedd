"""libsql-client as a transport: WebSockets and the `/v1` routes of a self-hosted sqld."""

import asyncio
import re
from asyncio import Future
from collections.abc import Sequence
from typing import Any

import aiohttp
import libsql_client  # type: ignore[import-untyped]  # - the package ships no types

from safeurl.adapters.libsql.failure import OtherTransportError, http_failure, sql_failure
from safeurl.adapters.sql.database import Row, Statement
from safeurl.errors import SafeURLError, StoreBusyError

_HTTP_STATUS = re.compile(r"HTTP status (\d{3})")

#: The statuses of a server that has no WebSockets or no `/v1` route.
_UNKNOWN_ROUTE = frozenset({404, 405, 426, 501, 505})


class ClientTransport:
    """Sends batches by one libsql-client, which the first batch creates in its own event loop.

    The client begins a deferred transaction. It has the same effect as an immediate one, because
    either the first statement of a batch writes, or all of them only read.
    """

    def __init__(self, url: str, *, auth_token: str | None, timeout_s: float) -> None:
        """Store the URL and the token; nothing is opened here."""
        self._url = url
        self._auth_token = auth_token
        self._timeout_s = timeout_s
        # Any: the package ships no types.
        self._client: Any = None
        self._has_answered = False

    async def run(self, batch: Sequence[Statement], *, write: bool) -> list[list[Row]]:
        """Run the batch in a transaction; a single SELECT needs none."""
        try:
            results = await self._translated(batch, write=write)
        except StoreBusyError as exc:
            # If the server refuses a WebSocket, the client often sees only a broken connection.
            if self._has_answered or not self._auth_token:
                raise
            raise StoreBusyError(f"{exc} It may refuse TURSO_AUTH_TOKEN.") from exc
        self._has_answered = True
        return [[dict(zip(r.columns, row, strict=True)) for row in r.rows] for r in results]

    async def _translated(self, batch: Sequence[Statement], *, write: bool) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(batch, write=write)
        except TimeoutError as exc:
            # The cause is unknown, so the next batch opens a new connection.
            await self.close()
            raise StoreBusyError("The database server does not answer.") from exc
        except libsql_client.LibsqlError as exc:
            raise _ours(exc) from exc
        except aiohttp.WSServerHandshakeError as exc:
            if exc.status in _UNKNOWN_ROUTE:
                raise OtherTransportError from exc
            raise http_failure(exc.status) from exc
        except (KeyError, ValueError) as exc:
            raise StoreBusyError("The database server's answer is not Hrana.") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise StoreBusyError("The database server cannot be reached.") from exc

    async def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, batch: Sequence[Statement], *, write: bool) -> list[Any]:
        if self._client is None:
            self._client = libsql_client.create_client(self._url, auth_token=self._auth_token)
        wanted = [libsql_client.Statement(each.sql, dict(each.args)) for each in batch]
        # Shielded, because the client fails on a response whose caller was cancelled.
        if write or len(wanted) > 1:
            return list(await _shielded(self._client.batch(wanted)))
        return [await _shielded(self._client.execute(wanted[0]))]


async def _shielded(answer: Any) -> Any:
    # Any: the package ships no types.
    task: Future[Any] = asyncio.ensure_future(answer)
    task.add_done_callback(_retrieve)
    return await asyncio.shield(task)


def _retrieve(task: Future[Any]) -> None:
    """Retrieve the exception, which asyncio would otherwise report as never retrieved."""
    if not task.cancelled():
        task.exception()


def _ours(exc: Any) -> SafeURLError:
    # Any: the package ships no types.
    status = _HTTP_STATUS.search(exc.explanation) if exc.code == "SERVER_ERROR" else None
    if status is None:
        return sql_failure(exc.code, exc.explanation)
    if int(status[1]) in _UNKNOWN_ROUTE:
        raise OtherTransportError from exc
    return http_failure(int(status[1]))
