"""The libSQL room: batches over libsql-client or over the pipeline, whichever the server knows."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from safeurl.adapters.libsql.address import Address, Transport
from safeurl.adapters.libsql.client import ClientTransport
from safeurl.adapters.libsql.failure import OtherTransportError
from safeurl.adapters.libsql.pipeline import PipelineTransport
from safeurl.adapters.sql.database import Row, Statement
from safeurl.errors import StoreBusyError, StoreUnavailableError

_log = logging.getLogger(__name__)


class LibSQLDatabase:
    """Batches on one server."""

    def __init__(self, address: Address, *, auth_token: str | None, timeout_s: float) -> None:
        """Choose the transport that the address asks for; nothing is opened here."""
        self._timeout_s = timeout_s
        self._origin = address.origin
        # The server writes one batch at a time anyway, and dozens of waiting writers make sqld
        # spend itself on passing its lock around; so each process has one batch waiting there.
        self._writing = asyncio.Lock()
        self._pipeline = PipelineTransport(
            address.http_url, auth_token=auth_token, timeout_s=timeout_s
        )
        self._client: ClientTransport | None = None
        if address.transport is Transport.CLIENT:
            self._client = ClientTransport(
                address.client_url, auth_token=auth_token, timeout_s=timeout_s
            )

    async def read(self, statement: Statement) -> list[Row]:
        """Run it alone, outside any transaction."""
        (rows,) = await self.read_all([statement])
        return rows

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run several as one batch, which is a read transaction on the server."""
        with self._named():
            return await self._run(batch, write=False)

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run it as one transaction, after those that wait before it in this process."""
        with self._named():
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._writing.acquire()
            except TimeoutError as exc:
                raise StoreBusyError("Too many batches wait for the database server.") from exc
            try:
                return await self._run(batch, write=True)
            finally:
                self._writing.release()

    async def close(self) -> None:
        """Close both transports."""
        if self._client is not None:
            await self._client.close()
        await self._pipeline.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Add to what is wrong with the server which one it is."""
        try:
            yield
        except StoreUnavailableError as exc:
            sentence = str(exc).removesuffix(".")
            raise type(exc)(f"{sentence} ({self._origin}).") from exc

    async def _run(self, batch: Sequence[Statement], *, write: bool) -> list[list[Row]]:
        """Fall over for good to the pipeline where the server has no WebSockets and no `/v1`."""
        client = self._client
        if client is not None:
            try:
                return await client.run(batch, write=write)
            except OtherTransportError:
                _log.info("The database server has no /v1 and no WebSockets; using /v3/pipeline.")
                self._client = None
                await client.close()
        return await self._pipeline.run(batch, write=write)
