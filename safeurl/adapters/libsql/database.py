"""The libSQL database: runs batches with libsql-client or by the pipeline route."""

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
    """Runs batches on one server, by the transport that the server supports."""

    def __init__(self, address: Address, *, auth_token: str | None, timeout_s: float) -> None:
        """Choose the transport of the address; nothing is opened here."""
        self._timeout_s = timeout_s
        self._origin = address.origin
        # The server writes one batch at a time. With dozens of waiting writers sqld needs most of
        # its time for its lock, so each process sends only one writing batch at a time.
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
        """Run the statement outside a transaction."""
        (rows,) = await self.read_all([statement])
        return rows

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the statements as one batch, which is a read transaction on the server."""
        with self._named():
            return await self._run(batch, write=False)

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the batch as one transaction, after the batches of this process that came earlier."""
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
        """Add the address of the server to the message of an error."""
        try:
            yield
        except StoreUnavailableError as exc:
            sentence = str(exc).removesuffix(".")
            raise type(exc)(f"{sentence} ({self._origin}).") from exc

    async def _run(self, batch: Sequence[Statement], *, write: bool) -> list[list[Row]]:
        """Run the batch; if the server lacks the client's routes, use the pipeline from now on."""
        client = self._client
        if client is not None:
            try:
                return await client.run(batch, write=write)
            except OtherTransportError:
                _log.info("The database server has no /v1 and no WebSockets; using /v3/pipeline.")
                self._client = None
                await client.close()
        return await self._pipeline.run(batch, write=write)
