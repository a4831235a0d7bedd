"""Responses of a database server that are not Hrana always raise our own error."""

from collections.abc import Sequence

import pytest
from aiohttp import web

from safeurl.adapters.libsql.pipeline import PipelineTransport
from safeurl.adapters.sql.database import Row, Statement
from safeurl.errors import StoreBusyError

_SHAPE = (
    '{"results":[{"response":{"result":{"step_results":'
    '[{"cols":[{"name":"a"}],"rows":[%s]}],"step_errors":[]}}}]}'
)
_ANSWERS = {
    "no JSON": b"<html>",
    "nothing": b"",
    "a cut document": b'{"results":[',
    "no UTF-8": b'{"results":[{"error":{"message":"\xff"}}]}',
    "deeply nested": b'{"x":' + b"[" * 100_000,
    "no result": b'{"results":[]}',
    "no integer": (_SHAPE % '[{"type":"integer","value":"x"}]').encode(),
    "a long integer": (_SHAPE % f'[{{"type":"integer","value":"{"9" * 5000}"}}]').encode(),
    "a wide row": (_SHAPE % '[{"type":"null"},{"type":"null"}]').encode(),
    "a narrow row": (_SHAPE % "[]").encode(),
}


async def _ask(answer: bytes) -> Sequence[Sequence[Row]]:
    async def reply(_request: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_post("/v3/pipeline", reply)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    transport = PipelineTransport(site_url(runner), auth_token=None, timeout_s=10)
    try:
        return await transport.run([Statement("SELECT 1")], write=False)
    finally:
        await transport.close()
        await runner.cleanup()


def site_url(runner: web.AppRunner) -> str:
    """Return the address of the server."""
    host, port = runner.addresses[0]
    return f"http://{host}:{port}"


@pytest.mark.parametrize("answer", _ANSWERS.values(), ids=_ANSWERS.keys())
async def test_what_is_no_hrana_is_an_error_of_ours(answer: bytes) -> None:
    """No error of the decoder or of Python reaches the caller."""
    with pytest.raises(StoreBusyError):
        await _ask(answer)


async def test_what_is_hrana_is_read() -> None:
    """The same server with a complete response is read."""
    answer = (_SHAPE % '[{"type":"integer","value":"7"}]').encode()
    assert await _ask(answer) == [[{"a": 7}]]
