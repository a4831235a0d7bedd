"""The page for browsers: served completely from here, with a strict policy and no markup from text.

Other tests open it in a real browser.
"""

import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from api.ui.page import FOLDER
from safeurl.errors import QueueUnavailableError, StoreUnavailableError
from safeurl.model.worker import PartStatus, WorkerHeartbeat, WorkerParts
from safeurl.service import Service
from tests.support.browser import Browser
from tests.support.failing import FailingQueue, FailingStore
from tests.support.live_api import NOW, MemoryApi, api_thread, memory_api

#: The timer is turned by the tests.
_OWN_TIMER = "window.setInterval = (work) => { window.turnTimer = work; };"
#: The ids in the list, as it shows them.
_IDS = "[...document.querySelectorAll('#recent a')].map((link) => link.hash.slice(1))"
#: How many answers about the list there were.
_LISTS = (
    "performance.getEntriesByType('resource')"
    ".filter((each) => each.name.includes('/api/scans?')).length"
)
_LOADED = "document.querySelector('#health b') && (recent.children.length || !empty.hidden)"

_NO_DOCKER = WorkerParts(docker=PartStatus(ok=False, reason="20.10.24"))
_BEAT = WorkerHeartbeat(
    id="w1",
    host="scan-1",
    pid=42,
    concurrency=5,
    started_at=NOW,
    beat_at=NOW,
    docker_version="20.10.24",
    parts=WorkerParts(),
    disk_free_bytes=10**10,
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one browser for all tests of the module."""
    with contextlib.closing(Browser(tmp_path_factory.mktemp("profile"))) as running:
        running.tell("Page.enable")
        running.tell("Page.addScriptToEvaluateOnNewDocument", source=_OWN_TIMER)
        yield running


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve the API over memory."""
    with memory_api() as running:
        yield running


@pytest.fixture
async def ordered() -> AsyncIterator[MemoryApi]:
    """Serve with a worker and a clock that moves, so that later scans have later ids."""
    store, queue = FailingStore(), FailingQueue()
    await store.record_heartbeat(_BEAT)
    ticks = itertools.count()
    # Up to the time at which scans are finished.
    clock = lambda: NOW + timedelta(seconds=-10, milliseconds=next(ticks))  # noqa: E731 - short
    with api_thread(Service(store, queue, clock)) as client:
        yield MemoryApi(client, store, queue)


def _open(browser: Browser, api: MemoryApi, width: int = 1280) -> None:
    """Open the page anew and return once it is filled."""
    browser.tell(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser.tell("Page.navigate", url="about:blank")
    browser.tell("Page.navigate", url=str(api.client.base_url))
    browser.wait(_LOADED)


def _watch(name: str) -> str:
    """Return the script that counts how often the element's content changes."""
    return (
        f"window.changes = 0; new MutationObserver((seen) => {{ changes += seen.length; }})"
        f".observe(document.getElementById('{name}'),"
        "{subtree: true, childList: true, characterData: true, attributes: true});"
    )


def _listed(api: MemoryApi, limit: int) -> list[str]:
    scans = api.client.get("/api/scans", params={"limit": limit}).json()["scans"]
    return [scan["id"] for scan in scans]


def test_the_page_may_load_only_from_here(api: MemoryApi) -> None:
    """Its policy names no other source and no inline code."""
    answer = api.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_all_that_the_page_refers_to_is_served(api: MemoryApi) -> None:
    """Every file it names is there with its type, and every file in the folder is named."""
    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    named = {"index.html"}
    for source in FOLDER.iterdir():
        text = source.read_text()
        named |= set(re.findall(r"""(?:/ui/|from "\./)([a-z]+\.[a-z]+)""", text))
    assert named == {path.name for path in FOLDER.iterdir()}
    for name in named - {"index.html"}:
        answer = api.client.get(f"/ui/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(types[name.partition(".")[2]])


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_file_can_turn_text_into_markup_or_leave(path: object) -> None:
    """It has no function for markup or code, no inline handler or style, and no foreign address."""
    text = (FOLDER / str(path)).read_text()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc"
    assert not re.search(sinks, text)
    assert not re.search(r"""\son[a-z]+\s*=\s*["']|\sstyle\s*=\s*["']""", text)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg"}


def test_monitors_may_ask_with_head(api: MemoryApi) -> None:
    """The page and each of its files answer HEAD as GET, without the body."""
    for path in ("/", *(f"/ui/{each.name}" for each in FOLDER.iterdir())):
        head, get = api.client.head(path), api.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "content-security-policy"):
            assert head.headers[name] == get.headers[name]


def test_the_list_keeps_up_and_leaves_the_focus(browser: Browser, ordered: MemoryApi) -> None:
    """Submits and cancels of other clients are shown; the focused link stays the same one."""
    first = ordered.submit()
    _open(browser, ordered)
    browser.run("document.querySelector('#recent a').focus()")
    browser.run("window.held = document.activeElement")
    second = ordered.submit()
    browser.run("turnTimer()")
    browser.wait(f"{_IDS}.length === 2")
    assert browser.run(_IDS) == [second, first]
    ordered.client.delete(f"/api/scans/{first}")
    browser.run("turnTimer()")
    browser.wait("held.querySelector('.badge').textContent === 'Cancelled'")
    assert browser.run("held === document.activeElement && held.isConnected")
    assert browser.run("held.hash") == f"#{first}"


def test_a_cancelled_scan_is_called_cancelled(browser: Browser, api: MemoryApi) -> None:
    """It is so in the list and on its own page, without a verdict or a score."""
    scan_id = api.submit()
    api.client.delete(f"/api/scans/{scan_id}")
    _open(browser, api)
    browser.run(f"location.hash = '{scan_id}'")
    browser.wait("document.querySelector('.verdict') !== null")
    shown = str(browser.run("document.querySelector('.verdict').textContent"))
    assert shown.startswith("–of 100Cancelled")
    for word in ("nconclusive", "Failed"):
        assert word not in str(browser.run("document.body.innerText"))
    assert browser.run("document.querySelector('#recent .badge').textContent") == "Cancelled"


def test_the_list_is_left_alone_while_nothing_changes(browser: Browser, ordered: MemoryApi) -> None:
    """A refresh without news changes no node of it."""
    ordered.submit()
    _open(browser, ordered)
    browser.run(_watch("recent"))
    browser.run("turnTimer()")
    browser.wait(f"{_LISTS} === 2")
    ordered.submit()
    # Not asked for while the answer before is dealt with.
    browser.wait(f"turnTimer() ?? {_IDS}.length === 2")
    assert browser.run("changes") == 1


def test_a_page_that_is_not_seen_asks_for_no_list(browser: Browser, ordered: MemoryApi) -> None:
    """It reads the list as soon as it is visible again."""
    _open(browser, ordered)
    browser.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    ordered.submit()
    ordered.queue.fault = QueueUnavailableError("Redis does not answer.")
    browser.run("turnTimer()")
    browser.wait("!issues.hidden")
    assert browser.run(_LISTS) == 1
    browser.run("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait(f"{_IDS}.length === 1")


async def test_older_pages_stay(browser: Browser, ordered: MemoryApi) -> None:
    """The timer does not change them; the end of a shown scan adds new scans and removes none."""
    for _ in range(23):
        ordered.submit()
    _open(browser, ordered)
    browser.run("older.click(); older.click()")
    browser.wait(f"{_IDS}.length === 23")
    browser.wait("older.hidden")
    assert browser.run(_IDS) == _listed(ordered, 50)
    watched = ordered.submit()
    await ordered.store.record_heartbeat(replace(_BEAT, parts=_NO_DOCKER))
    browser.run("turnTimer()")
    browser.wait("!issues.hidden")
    assert browser.run(f"{_IDS}.length") == 23
    browser.run(f"location.hash = '{watched}'")
    browser.wait("document.querySelector('#scan h2')")
    for _ in range(12):
        ordered.submit()
    await ordered.finish(watched)
    browser.wait(f"{_IDS}.length === 36")
    assert browser.run(_IDS) == _listed(ordered, 50)


async def test_health_is_said_once(browser: Browser, ordered: MemoryApi) -> None:
    """The live region changes only with its text, because a screen reader reads each change."""
    ordered.queue.fault = QueueUnavailableError("Redis does not answer.")
    _open(browser, ordered)
    browser.run(_watch("health"))
    await ordered.store.record_heartbeat(replace(_BEAT, parts=_NO_DOCKER))
    browser.run("turnTimer()")
    browser.wait("wrong.children.length === 2")
    assert browser.run("changes") == 0
    ordered.queue.fault = None
    browser.run("turnTimer()")
    browser.wait("health.textContent.includes('Docker')")
    assert browser.run("changes") > 0


@pytest.mark.parametrize("width", [1280, 320])
async def test_all_issues_and_advice_can_be_read(
    browser: Browser, ordered: MemoryApi, width: int
) -> None:
    """A key opens them, they fit the narrowest screen, and they disappear once all is well."""
    long = replace(_BEAT, parts=_NO_DOCKER, host=f"{'long-' * 9}host", disk_free_bytes=10**8)
    await ordered.store.record_heartbeat(long)
    ordered.queue.fault = QueueUnavailableError("Redis does not answer.")
    _open(browser, ordered, width)
    found = ordered.client.get("/health").json()
    issues, advice = found["health"]["issues"], found["recommendations"]
    assert (len(issues), len(advice)) == (3, 3)
    assert browser.run("health.innerText") == f"degraded {issues[0]}"
    browser.run("document.querySelector('#issues summary').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.tell("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r")
    browser.wait("issues.open")
    shown = browser.run("issues.innerText")
    assert shown.startswith("3 issues")
    assert all(sentence.replace("`", "") in shown for sentence in (*issues, *advice))
    assert browser.run("document.documentElement.scrollWidth") <= width
    ordered.queue.fault = None
    await ordered.store.record_heartbeat(_BEAT)
    browser.run("turnTimer()")
    browser.wait("issues.hidden")
    assert browser.run("health.innerText") == "healthy 1 worker ready"


def test_a_database_that_is_gone_is_said_with_advice(browser: Browser, ordered: MemoryApi) -> None:
    """The list also shows it, until the database is back."""
    _open(browser, ordered)
    ordered.store.fault = StoreUnavailableError("The database is locked.")
    browser.run("turnTimer()")
    browser.wait("advice.textContent.includes('TURSO_CONNECTION_URL')")
    browser.wait("empty.textContent === 'The database is locked.'")
    ordered.store.fault = None
    browser.run("turnTimer()")
    browser.wait("issues.hidden && empty.textContent === 'Nothing has been scanned yet.'")


@pytest.mark.parametrize("name", ["%", "%E0%A4%A", ".", "x" * 65, "no-such-scan"])
async def test_what_is_no_scan_is_said(browser: Browser, ordered: MemoryApi, name: str) -> None:
    """An address that names none, or cannot be decoded, does not leave the last verdict."""
    scan = ordered.submit()
    await ordered.finish(scan)
    _open(browser, ordered)
    browser.run(f"location.hash = '{scan}'")
    browser.wait("document.title === 'malicious – SafeURL'")
    browser.run(f"location.hash = '{name}'")
    browser.wait("scan.textContent.startsWith('No scan has')")
    assert browser.run("document.title") == "SafeURL"
    assert not browser.run("scan.hidden")
