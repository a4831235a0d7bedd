"""Scans over HTTP: submit, view, list, cancel; and every refusal."""

import json
from collections.abc import Iterator
from dataclasses import fields
from http import HTTPStatus

import pytest

from safeurl.errors import QueueUnavailableError, StoreUnavailableError
from safeurl.model.attempt import Attempt
from tests.support.finished_scan import HOSTILE_TITLE
from tests.support.live_api import MemoryApi, memory_api


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


def test_a_url_is_accepted_and_found_again(api: MemoryApi) -> None:
    """202 names the address of the scan; it is normalised and recorded, and a wake-up is sent."""
    answer = api.client.post("/api/scans", json={"url": "hxxps://WWW[.]example[.]com"})
    scan = answer.json()
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert (scan["queued"], scan["warning"], scan["final"]) == (True, "", False)
    assert (scan["state"], scan["source"]) == ("QUEUED", "api")
    assert scan["submitted_url"] == "hxxps://WWW[.]example[.]com"
    assert set(api.queue.ids) == {scan["id"]}
    seen = api.client.get(answer.headers["location"]).json()
    assert (seen["id"], seen["url"]) == (scan["id"], "https://www.example.com/")
    assert (seen["result"], seen["evidence"], seen["artefacts"]) == (None, None, [])
    assert [entry["event"] for entry in seen["audit"]] == ["submitted"]
    assert seen["attempts"] == []


async def test_a_finished_scan_shows_everything(api: MemoryApi) -> None:
    """One document has the verdict with its hits, evidence, artefacts and the complete trail."""
    scan_id = api.submit()
    await api.finish(scan_id)
    seen = api.client.get(f"/api/scans/{scan_id}").json()
    assert (seen["state"], seen["final"], seen["outcome"]) == ("COMPLETED", True, "ok")
    assert seen["outcome_text"] == "The page was opened and read."
    result = seen["result"]
    assert (result["judgement"], result["score"]) == ("malicious", 94)
    assert result["hits"][0]["pointer"] == "/page/forms/0/action"
    assert [hop["status"] for hop in seen["evidence"]["hops"]] == [302, 200]
    assert [blob["kind"] for blob in seen["artefacts"]] == ["body"]
    (attempt,) = seen["attempts"]
    assert attempt.keys() == {field.name for field in fields(Attempt)}
    assert (attempt["attempt"], attempt["outcome"]) == (1, "ok")
    assert attempt["counts_as_failure"] is False
    assert attempt["started_at"] <= attempt["ended_at"]
    assert [entry["to_state"] for entry in seen["audit"]] == [
        "QUEUED",
        "FETCHING",
        "ANALYZING",
        "COMPLETED",
    ]


async def test_a_hostile_title_is_only_ever_json(api: MemoryApi) -> None:
    """The title is returned unchanged, in a body that no browser shows as a page."""
    scan_id = api.submit()
    await api.finish(scan_id)
    answer = api.client.get(f"/api/scans/{scan_id}")
    assert answer.json()["result"]["title"] == HOSTILE_TITLE
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://www.example.com/", "scheme"),
        ("http://127.1/", "loopback"),
        ("http://169.254.169.254/latest/", "metadata"),
        ("https://www.example.com/\ud800", "encoding"),
        ("https://a.example/x https://b.example/", "ambiguous"),
        ("https://a.example/x,https://b.example/", "ambiguous"),
        ("https://a.example/x|hxxps://b[.]example/", "ambiguous"),
        ("a.example, b.example", "ambiguous"),
        ("https://a.example/x b.example", "ambiguous"),
        ("look at evil.example please", "ambiguous"),
        ("see https://a.example/x now", "ambiguous"),
        ("no address in here", "no_url"),
        ("-", "no_url"),
        ("https://a.example/x\nhttps://b.example/", "ambiguous"),
    ],
)
def test_a_url_that_can_never_be_scanned_is_refused(api: MemoryApi, url: str, reason: str) -> None:
    """400 with the rule's name, and nothing is recorded."""
    answer = api.client.post(
        "/api/scans",
        content=json.dumps({"url": url}),
        headers={"content-type": "application/json"},
    )
    body = answer.json()
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert (body["code"], body["reason"], body["status"]) == ("url_refused", reason, 400)
    assert body["errors"] == [{"title": body["message"], "status": 400}]
    assert api.client.get("/api/scans").json()["scans"] == []


def test_half_a_character_in_pasted_text_is_replaced(api: MemoryApi) -> None:
    """JSON can contain a lone surrogate, UTF-8 cannot: it is replaced as in a browser's URL."""
    answer = api.client.post(
        "/api/pasted",
        content=json.dumps({"text": "see\ud800 https://www.example.com/\ud800"}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == HTTPStatus.OK
    assert [found["url"] for found in answer.json()["urls"]] == [
        "https://www.example.com/%EF%BF%BD"
    ]
    assert answer.json()["left_out"] == ["see\ufffd"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"url": 7}',
        b'{"url": null}',
        b'{"url": ["https://www.example.com/"]}',
        b'{"url": "https://www.example.com/", "unknown": 1}',
        b'{"url": "https://www.example.com/", "profile": "browser"}',
        b'{"url": NaN}',
    ],
)
def test_a_body_that_is_not_a_submission_is_invalid(api: MemoryApi, body: bytes) -> None:
    """422 in our shape, and nothing is recorded."""
    answer = api.client.post(
        "/api/scans", content=body, headers={"content-type": "application/json"}
    )
    error = answer.json()
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, answer.text
    assert (error["code"], error["status"]) == ("invalid_request", 422)
    assert error["message"] == error["errors"][0]["title"]
    assert api.client.get("/api/scans").json()["scans"] == []


@pytest.mark.parametrize("body", [b'{"url": "\xff"}', b"[" * 60_000])
def test_a_body_that_cannot_be_parsed_is_a_bad_request(api: MemoryApi, body: bytes) -> None:
    """Broken UTF-8 and absurd nesting are the sender's fault, not ours."""
    answer = api.client.post(
        "/api/scans", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    assert set(answer.json()) == {"message", "code", "status", "errors"}
    assert "safeurl " not in answer.text, "who asks over HTTP has no commands"


def test_an_error_does_not_echo_what_was_sent(api: MemoryApi) -> None:
    """The value of a wrong field is not in the response."""
    answer = api.client.post("/api/scans", json={"url": {"secret": "token-1234"}})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "token-1234" not in answer.text


async def test_a_list_says_what_was_concluded(api: MemoryApi) -> None:
    """A final scan has its verdict and score there; one that waits has neither yet."""
    done, waiting = api.submit(), api.submit("https://www.example.com/waits")
    await api.finish(done)
    listed = {scan["id"]: scan for scan in api.client.get("/api/scans").json()["scans"]}
    assert (listed[done]["verdict"], listed[done]["score"]) == ("malicious", 94)
    assert (listed[waiting]["verdict"], listed[waiting]["score"]) == (None, None)


def test_pages_hold_every_scan_once_newest_first(api: MemoryApi) -> None:
    """Following `next` to its end shows all scans, none twice, ids falling."""
    submitted = {api.submit(f"https://www.example.com/{number}") for number in range(7)}
    seen: list[str] = []
    path: str | None = "/api/scans?limit=3"
    for _ in range(len(submitted)):
        assert path is not None
        page = api.client.get(path).json()
        seen += [scan["id"] for scan in page["scans"]]
        path = page["next"]
        if path is None:
            break
    assert path is None
    assert seen == sorted(submitted, reverse=True)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", f"before={'0' * 65}"])
def test_a_wrong_page_is_invalid(api: MemoryApi, query: str) -> None:
    """The page's size is bounded, and so is the id that it starts from."""
    answer = api.client.get(f"/api/scans?{query}")
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("before", ["2026-11-25", "nope", "01A2139D-197E-707F-BF06-E84F2F000000"])
def test_a_page_before_what_is_no_id_is_refused(api: MemoryApi, before: str) -> None:
    """Otherwise the first page would be returned, and a client would never reach the end."""
    answer = api.client.get("/api/scans", params={"before": before})
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "`before` must be the id of a scan." in answer.text


@pytest.mark.parametrize("scan_id", ["none", "%00", "..%2F..%2Fhealth", "' OR 1=1 --"])
def test_an_unknown_scan_is_not_found(api: MemoryApi, scan_id: str) -> None:
    """404, whatever the id looks like."""
    answer = api.client.get(f"/api/scans/{scan_id}")
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert set(answer.json()) == {"message", "code", "status", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", HTTPStatus.NOT_FOUND),
        ("GET", "/docs", HTTPStatus.NOT_FOUND),
        ("GET", "/ui/../app.py", HTTPStatus.NOT_FOUND),
        ("GET", "/ui/%2e%2e/app.py", HTTPStatus.NOT_FOUND),
        ("PUT", "/api/scans", HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
def test_routes_that_are_not_there_answer_in_our_shape(
    api: MemoryApi, method: str, path: str, status: HTTPStatus
) -> None:
    """Routing's own refusals look like all others; pages that load from elsewhere are off."""
    answer = api.client.request(method, path, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_without_redis_the_scan_is_recorded_and_says_so(api: MemoryApi) -> None:
    """The status is 202 with a warning, because the rescuer will send the wake-up."""
    api.queue.fault = QueueUnavailableError("Redis does not answer.")
    answer = api.client.post("/api/scans", json={"url": "https://www.example.com/"})
    scan = answer.json()
    assert (answer.status_code, scan["queued"]) == (HTTPStatus.ACCEPTED, False)
    assert "Redis does not answer." in scan["warning"]
    assert api.client.get(answer.headers["location"]).json()["state"] == "QUEUED"


def test_a_scan_is_cancelled(api: MemoryApi) -> None:
    """It ends FAILED with a result, once; asking again finds it so and changes nothing."""
    scan_id = api.submit()
    first, again = (api.client.delete(f"/api/scans/{scan_id}") for _ in range(2))
    assert (first.status_code, again.status_code) == (HTTPStatus.OK, HTTPStatus.OK)
    assert first.json() == again.json()
    assert (first.json()["state"], first.json()["outcome"]) == ("FAILED", "cancelled")
    seen = api.client.get(f"/api/scans/{scan_id}").json()
    assert seen["result"]["judgement"] == "inconclusive"
    assert [(e["to_state"], e["actor"]) for e in seen["audit"]] == [
        ("QUEUED", "api"),
        ("FAILED", "api"),
    ]


async def test_a_cancelled_scan_has_no_verdict_in_lists(api: MemoryApi) -> None:
    """It has no conclusion; the verdicts of other scans are in the same list."""
    cancelled, done, odd = api.submit(), api.submit(), api.submit("http://paypal.com.evil.top/")
    for scan_id in (cancelled, odd):
        api.client.delete(f"/api/scans/{scan_id}")
    await api.finish(done)
    listed = {scan["id"]: scan for scan in api.client.get("/api/scans").json()["scans"]}
    shown = {key: (each["outcome"], each["verdict"]) for key, each in listed.items()}
    assert shown[cancelled] == ("cancelled", None)
    assert listed[cancelled]["score"] is None
    assert shown[done] == ("ok", "malicious")
    # What the URL alone says would stand: it is never `inconclusive`.
    assert shown[odd][1] != "inconclusive"


async def test_a_finished_scan_cannot_be_cancelled(api: MemoryApi) -> None:
    """409 names its final state, which stays."""
    scan_id = api.submit()
    await api.finish(scan_id)
    answer = api.client.delete(f"/api/scans/{scan_id}")
    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.CONFLICT, "scan_finished")
    assert "COMPLETED" in answer.json()["message"]
    assert api.client.get(f"/api/scans/{scan_id}").json()["state"] == "COMPLETED"


def test_another_site_cannot_cancel(api: MemoryApi) -> None:
    """Its scripts are refused with any request, and the scan continues."""
    scan_id = api.submit()
    foreign = {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}
    answers = [api.client.delete(f"/api/scans/{scan_id}", headers=each) for each in foreign]
    assert {answer.status_code for answer in answers} == {HTTPStatus.FORBIDDEN}
    assert api.client.get(f"/api/scans/{scan_id}").json()["state"] == "QUEUED"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("GET", ""), ("GET", "/some-id"), ("DELETE", "/some-id")]
)
def test_without_a_database_all_is_unavailable_until_it_is_back(
    api: MemoryApi, method: str, path: str
) -> None:
    """503 says when to ask again, and the next request works once the database does."""
    body = {"url": "https://www.example.com/"} if method == "POST" else None
    api.store.fault = StoreUnavailableError("The database is locked.")
    answer = api.client.request(method, f"/api/scans{path}", json=body)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.json()["code"] == "store_unavailable"
    assert int(answer.headers["retry-after"]) > 0
    api.store.fault = None
    again = api.client.request(method, f"/api/scans{path}", json=body)
    assert again.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
