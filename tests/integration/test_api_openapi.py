"""The published schema is correct: each documented response occurs and matches it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from api.guard import MAX_BODY_BYTES
from safeurl.errors import StoreUnavailableError
from tests.support.json_schema import faults
from tests.support.live_api import MemoryApi, memory_api

# A document is JSON.
Json = Any
_SUBMIT = {"url": "https://www.example.com/"}
_FOREIGN = {"origin": "https://evil.example"}
_REBOUND = {"host": "rebound.example"}


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


async def _answers(api: MemoryApi) -> AsyncIterator[tuple[str, httpx.Response]]:
    """Request every response; yield it with its path as the schema writes it."""
    client = api.client
    yield "/api/scans", client.post("/api/scans", json=_SUBMIT)
    yield "/api/scans", client.post("/api/scans", json={"url": "file:///etc/passwd"})
    yield "/api/scans", client.post("/api/scans", json={"url": "x" * MAX_BODY_BYTES})
    yield "/api/scans", client.post("/api/scans", content=b"{}")
    yield "/api/scans", client.post("/api/scans", json={})
    yield "/api/scans", client.get("/api/scans?limit=1")
    yield "/api/scans", client.get("/api/scans?limit=0")
    scan_id = api.submit()
    path = "/api/scans/{scan_id}"
    yield path, client.get(f"/api/scans/{scan_id}")
    await api.finish(scan_id)
    yield path, client.get(f"/api/scans/{scan_id}")
    yield path, client.delete(f"/api/scans/{scan_id}")
    yield path, client.delete(f"/api/scans/{api.submit()}")
    for method in ("GET", "DELETE"):
        yield path, client.request(method, "/api/scans/none")
        yield path, client.request(method, f"/api/scans/{'x' * 65}")
    yield "/health", client.get("/health")
    pasted = "/api/pasted"
    yield pasted, client.post(pasted, json={"text": "a.example, http://127.0.0.1/ words"})
    yield pasted, client.post(pasted, json={"text": "x" * MAX_BODY_BYTES})
    yield pasted, client.post(pasted, content=b"{}")
    yield pasted, client.post(pasted, json={})
    for headers in (_FOREIGN, _REBOUND):
        yield pasted, client.post(pasted, json={"text": ""}, headers=headers)
    for headers in (_FOREIGN, _REBOUND):
        yield "/api/scans", client.post("/api/scans", json=_SUBMIT, headers=headers)
        yield "/api/scans", client.get("/api/scans", headers=headers)
        yield path, client.get("/api/scans/none", headers=headers)
        yield path, client.delete("/api/scans/none", headers=headers)
        yield "/health", client.get("/health", headers=headers)
    api.store.fault = StoreUnavailableError("The database is locked.")
    yield "/api/scans", client.post("/api/scans", json=_SUBMIT)
    yield "/api/scans", client.get("/api/scans")
    yield path, client.get("/api/scans/none")
    yield path, client.delete("/api/scans/none")
    yield "/health", client.get("/health")


async def test_every_documented_answer_is_seen_and_fits(api: MemoryApi) -> None:
    """No answer is undocumented, none is documented in vain, and each has its schema's shape."""
    schema = api.client.get("/openapi.json").json()
    documented = {
        (path, method, status)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }
    seen = set()
    async for path, answer in _answers(api):
        method, status = answer.request.method.lower(), str(answer.status_code)
        responses: Json = schema["paths"][path][method]["responses"]
        assert status in responses, f"{method} {path} answered {status}"
        shape = responses[status]["content"]["application/json"]["schema"]
        assert faults(answer.json(), shape, schema) == [], f"{method} {path} {status}"
        seen.add((path, method, status))
    assert seen == documented


def test_every_operation_and_document_is_described(api: MemoryApi) -> None:
    """A reader of the schema finds the purpose of each field."""
    schema = api.client.get("/openapi.json").json()
    operations = [each for methods in schema["paths"].values() for each in methods.values()]
    assert all(each["summary"] and each["description"] for each in operations)
    assert all(each.get("description") for each in schema["components"]["schemas"].values())
