"""Hrana over HTTP, versions 3 and 2: the transport that Turso Cloud supports.

libsql-client 0.3.1 uses WebSockets, which Turso Cloud refuses with 505, and the `/v1` routes, for
which it returns 404. The package is no longer developed. This module sends the missing request, one
POST of one JSON document, with aiohttp, on which libsql-client depends. To extend the client's own
HTTP class, every method would have to be replaced.

A batch is one request: BEGIN IMMEDIATE, then each step if the step before it succeeded, then
COMMIT, and ROLLBACK if the COMMIT did not happen. Then the stream is closed. No transaction is open
between two requests. The protocol is specified in HRANA_3_SPEC of the libsql project.
"""

from collections.abc import Sequence

import aiohttp
import msgspec
from msgspec import Struct

from safeurl.adapters.libsql.failure import http_failure, sql_failure
from safeurl.adapters.sql.database import Row, Statement, Value
from safeurl.errors import StoreBusyError, StoreUnavailableError

_VERSIONS = ("v3", "v2")


class _Error(Struct):
    message: str
    code: str | None = None


class _Column(Struct):
    name: str | None = None


class _Cell(Struct):
    type: str
    value: str | float | None = None


class _StepResult(Struct):
    cols: list[_Column]
    rows: list[list[_Cell]]


class _BatchResult(Struct):
    step_results: list[_StepResult | None]
    step_errors: list[_Error | None]


class _Response(Struct):
    result: _BatchResult | None = None


class _Answer(Struct):
    response: _Response | None = None
    error: _Error | None = None


class _Answers(Struct):
    results: list[_Answer]


class PipelineTransport:
    """Posts batches. The first batch creates the HTTP session in its own event loop."""

    def __init__(self, http_url: str, *, auth_token: str | None, timeout_s: float) -> None:
        """Store the URL and the token; nothing is opened here."""
        self._http_url = http_url
        self._headers = {"Authorization": f"Bearer {auth_token}"} if auth_token else {}
        self._timeout_s = timeout_s
        self._versions = list(_VERSIONS)
        self._session: aiohttp.ClientSession | None = None

    async def run(self, batch: Sequence[Statement], *, write: bool) -> list[list[Row]]:
        """Run the batch in a transaction; a single SELECT needs none."""
        alone = not write and len(batch) == 1
        steps = [_step(batch[0])] if alone else _transaction(batch, write=write)
        requests = [{"type": "batch", "batch": {"steps": steps}}, {"type": "close"}]
        body = msgspec.json.encode({"baton": None, "requests": requests})
        results = _results(await self._post(body), len(steps))
        return [_rows(result) for result in (results if alone else results[1:-2])]

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes) -> bytes:
        """Post to the newest version of the route that the server supports."""
        try:
            for version in tuple(self._versions):
                status, answer = await self._post_to(version, body)
                if status == 200:  # noqa: PLR2004 - HTTP's OK
                    return answer
                if status != 404:  # noqa: PLR2004 - HTTP's Not Found
                    raise http_failure(status)
                if version in self._versions:  # another batch may have removed it meanwhile
                    self._versions.remove(version)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise StoreBusyError("The database server cannot be reached.") from exc
        self._versions = list(_VERSIONS)
        raise StoreUnavailableError("The database server has neither /v3/pipeline nor /v2.")

    async def _post_to(self, version: str, body: bytes) -> tuple[int, bytes]:
        # Redirects are not followed: another host must not get the statements and the token.
        async with self._open().post(
            f"{self._http_url}/{version}/pipeline", data=body, allow_redirects=False
        ) as response:
            return response.status, await response.read()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Content-Type": "application/json", **self._headers},
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            )
        return self._session


def _transaction(batch: Sequence[Statement], *, write: bool) -> list[dict[str, object]]:
    steps = [_step(Statement("BEGIN IMMEDIATE" if write else "BEGIN"))]
    for statement in (*batch, Statement("COMMIT")):
        after = {"condition": {"type": "ok", "step": len(steps) - 1}}
        steps.append(_step(statement) | after)
    committed = {"type": "ok", "step": len(steps) - 1}
    steps.append(_step(Statement("ROLLBACK")) | {"condition": {"type": "not", "cond": committed}})
    return steps


def _step(statement: Statement) -> dict[str, object]:
    args = [{"name": name, "value": _value(value)} for name, value in statement.args.items()]
    return {"stmt": {"sql": statement.sql, "named_args": args, "want_rows": True}}


def _value(value: Value) -> dict[str, object]:
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(value)}
        case float():
            return {"type": "float", "value": value}
        case str():
            return {"type": "text", "value": value}


def _results(body: bytes, steps: int) -> list[_StepResult | None]:
    try:
        answer = msgspec.json.decode(body, type=_Answers).results[0]
    except (msgspec.MsgspecError, ValueError, IndexError, RecursionError) as exc:
        raise StoreBusyError("The database server's answer is not Hrana.") from exc
    result = answer.response.result if answer.response else None
    errors = [answer.error, *(result.step_errors if result else ())]
    for error in errors:
        if error is not None:
            raise sql_failure(error.code or "UNKNOWN", error.message)
    if result is None or len(result.step_results) != steps:
        raise StoreBusyError("The database server's answer lacks steps.")
    return result.step_results


def _rows(result: _StepResult | None) -> list[Row]:
    if result is None:
        return []
    names = [column.name or "" for column in result.cols]
    try:
        return [dict(zip(names, map(_plain, row), strict=True)) for row in result.rows]
    except (ValueError, OverflowError) as exc:
        # A row with another number of columns, or an integer that is not one.
        raise StoreBusyError("The database server's answer is not Hrana.") from exc


def _plain(cell: _Cell) -> Value:
    if cell.type != "integer" or cell.value is None:
        return cell.value
    return int(cell.value)
