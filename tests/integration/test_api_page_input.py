"""Typed and pasted text and its scans on the page in a real browser."""

import contextlib
import itertools
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from safeurl.errors import StoreUnavailableError
from safeurl.model.report import Evidence, Form, Page
from safeurl.model.scan import Scan
from safeurl.model.verdict import Judgement
from safeurl.service import Service
from safeurl.services.conclusion import final_without_page
from safeurl.state import Outcome, State
from tests.support.browser import Browser
from tests.support.failing import FailingQueue, FailingStore
from tests.support.finished_scan import Life, finish_as_phishing, phishing_evidence
from tests.support.live_api import NOW, MemoryApi, api_thread

_LOADED = "document.querySelector('#health b') && (recent.children.length || !empty.hidden)"
#: Names that every object of JavaScript has.
_INHERITED = (
    *("constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf"),
    *("__defineGetter__", "__lookupSetter__", "toLocaleString", "propertyIsEnumerable"),
)
#: Pairs of a row's parts that lie on each other, and parts that stand out of their row.
_OVERLAPS = """
[...document.querySelectorAll('#recent a')].flatMap((row) => {
  const frame = row.getBoundingClientRect();
  const parts = [...row.children].map((part) => [part, part.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right - .5 && b.left < a.right - .5
    && a.top < b.bottom - .5 && b.top < a.bottom - .5;
  const inside = (a) => a.left >= frame.left && a.right <= frame.right + .5 && a.width > 0;
  return parts.flatMap(([part, box], index) => [
    ...parts.slice(index + 1).filter(([, other]) => meet(box, other))
      .map(([other]) => `${part.textContent} | ${other.textContent}`),
    ...(inside(box) ? [] : [`outside: ${part.textContent}`]),
  ]);
})
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one browser for all tests of the module."""
    with contextlib.closing(Browser(tmp_path_factory.mktemp("profile"))) as running:
        running.tell("Page.enable")
        yield running


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """Serve over memory with a clock that moves, so that later scans have later ids."""
    store, queue, ticks = FailingStore(), FailingQueue(), itertools.count()
    clock = lambda: NOW + timedelta(seconds=-10, milliseconds=next(ticks))  # noqa: E731 - short
    with api_thread(Service(store, queue, clock)) as client:
        yield MemoryApi(client, store, queue)


def _open(browser: Browser, api: MemoryApi, width: int = 1280) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.tell("Emulation.setDeviceMetricsOverride", **size)
    browser.tell("Page.navigate", url="about:blank")
    browser.tell("Page.navigate", url=str(api.client.base_url))
    browser.wait(_LOADED)


def _paste(browser: Browser, text: str) -> None:
    """Put the text into the box as a person's paste does, and press Enter."""
    browser.run("url.focus(); url.select()")
    browser.tell("Input.insertText", text=text)
    for kind in ("keyDown", "keyUp"):
        browser.tell("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r")


def _submitted(api: MemoryApi) -> list[str]:
    scans = api.client.get("/api/scans").json()["scans"]
    return [scan["submitted_url"] for scan in reversed(scans)]


def test_one_url_is_handed_in_and_shown(browser: Browser, api: MemoryApi) -> None:
    """As ever: the box is empty again and the scan is seen."""
    _open(browser, api)
    _paste(browser, "hxxps://a[.]example/my file")
    browser.wait("document.querySelector('#scan h2')")
    assert _submitted(api) == ["hxxps://a[.]example/my file"]
    assert browser.run("[url.value, found.innerText, problem.hidden]") == ["", "", True]


@pytest.mark.parametrize("between", [" ", ", ", "\n", "\r\n\r\n", " and also "])
def test_several_urls_are_each_a_scan(browser: Browser, api: MemoryApi, between: str) -> None:
    """Each found URL is listed with a link to its scan; line breaks of a paste are kept."""
    _open(browser, api)
    _paste(browser, between.join(("https://a.example/x", "http://b.example", "hxxp://c[.]example")))
    browser.wait("found.querySelectorAll('li a').length === 3 && recent.children.length === 3")
    assert _submitted(api) == ["https://a.example/x", "http://b.example", "hxxp://c[.]example"]
    shown = browser.run("[...found.querySelectorAll('a')].map((each) => each.innerText)")
    assert shown == ["hxxps://a[.]example/x", "hxxp://b[.]example/", "hxxp://c[.]example/"]
    assert browser.run("url.value") == ""
    browser.run("found.querySelector('a').click()")
    browser.wait("document.querySelector('#scan h2')?.innerText === 'hxxps://a[.]example/x'")


def test_what_is_refused_and_left_out_is_said(browser: Browser, api: MemoryApi) -> None:
    """A refused URL does not stop the others, and no word is lost."""
    _open(browser, api)
    _paste(browser, "Look: http://127.0.0.1/x and http://b.example <b>please</b>")
    browser.wait("recent.children.length === 1 && found.querySelectorAll('li').length === 2")
    assert _submitted(api) == ["http://b.example"]
    words = browser.run("found.innerText")
    assert "hxxp://127[.]0[.]0[.]1/x\n\nSafeURL does not connect to 127.0.0.1 (loopback)." in words
    assert "Left out, because it is not a URL: Look and b>please</b" in words
    assert browser.run("found.querySelectorAll('b').length") == 2  # the two hosts, nothing pasted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/?q=http://b.example/x", "hxxps://a[.]example/?q=hxxp://b[.]example/x"),
        (
            "https://a.example/HTTP%3A%2F%2Fb.example",
            "hxxps://a[.]example/HxxP%3A%2F%2Fb[.]example",
        ),
        (
            "https://a.example/?u=www.b.example&v=1.2",
            "hxxps://a[.]example/?u=www[.]b[.]example&v=1.2",
        ),
        ("https://a.example/#ftp://b.example", "hxxps://a[.]example/#fxp://b[.]example"),
        ("http://[2606:4700::1111]/x.y", "hxxp://[2606:4700::1111]/x.y"),
    ],
)
def test_no_url_is_shown_as_it_is(browser: Browser, api: MemoryApi, url: str, shown: str) -> None:
    """Those inside of a URL are defanged too, in its scan and in the list."""
    _open(browser, api)
    _paste(browser, url)
    browser.wait("document.querySelector('#scan h2') && recent.children.length === 1")
    assert _submitted(api) == [url]
    assert browser.run("document.querySelector('#scan h2').innerText") == shown
    assert browser.run("recent.querySelector('.url').innerText") == shown


def test_what_could_not_be_taken_stays_in_the_box(browser: Browser, api: MemoryApi) -> None:
    """Another try submits only these."""
    _open(browser, api)
    api.store.fault = StoreUnavailableError("The database is locked.")
    _paste(browser, "https://a.example/x\nhttp://b.example")
    browser.wait("found.querySelectorAll('.problem').length === 2")
    browser.wait("!document.querySelector('#submit button').disabled")
    assert browser.run("url.value") == "https://a.example/x\nhttp://b.example"
    assert browser.run("found.innerText").count("The database is locked.") == 2
    api.store.fault = None
    browser.wait("!document.querySelector('#submit button').disabled")
    browser.run("document.querySelector('#submit button').click()")
    browser.wait("recent.children.length === 2")
    assert browser.run("url.value") == ""


def test_too_many_at_once_are_counted(browser: Browser, api: MemoryApi) -> None:
    """None of them is submitted, and the box keeps them."""
    _open(browser, api)
    _paste(browser, "\n".join(f"https://a.example/{number}" for number in range(51)))
    browser.wait("!problem.hidden")
    assert "This text holds 51 URLs, and 50 are taken" in browser.run("problem.innerText")
    assert _submitted(api) == []
    assert "/50" in browser.run("url.value")


async def _seed(api: MemoryApi, scan_id: str, state: State, life: Life) -> None:
    """Move a QUEUED scan to the state."""
    if state is State.COMPLETED:
        await finish_as_phishing(api.store, scan_id, life)
        return
    lease = NOW + timedelta(seconds=30)
    claimed = await api.store.claim(scan_id, owner="h:1", now=NOW, lease_until=lease)
    assert claimed is not None
    evidence = msgspec.json.encode(phishing_evidence(claimed, "x")).decode()
    last: Scan = claimed
    if state is State.ANALYZING:
        begun = await api.store.begin_analysis(
            claimed, outcome=Outcome.OK, detail=None, evidence_json=evidence, now=NOW, actor="h:1"
        )
        assert begun is not None
        last = begun
    if state in {State.FAILED, State.TIMED_OUT}:
        outcome = Outcome.DNS_FAILED if state is State.FAILED else Outcome.WALL_TIMEOUT
        ending = final_without_page(last, outcome, detail=None, now=NOW)
        assert ending.state is state
        assert await api.store.finish(last, ending, now=NOW, actor="h:1") is not None


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 2560])
async def test_no_part_of_a_row_lies_on_another(
    browser: Browser, api: MemoryApi, width: int
) -> None:
    """URL, time and badge, for long URLs and every state and verdict, on every screen."""
    long = f"https://{'very-long-name.' * 8}example.com/{'path/' * 100}"
    for url in (long, "https://a.example/"):
        for state in State:
            judgements = Judgement if state is State.COMPLETED else (Judgement.INCONCLUSIVE,)
            for judgement in judgements:
                scan_id = api.submit(url)
                if state is not State.QUEUED:
                    life = Life(now=NOW, judgement=judgement, score=100)
                    await _seed(api, scan_id, state, life)
    _open(browser, api, width)
    browser.wait("!older.hidden")
    browser.run("older.click()")
    browser.wait("recent.children.length === 18")
    assert browser.run(_OVERLAPS) == []
    assert browser.run("document.documentElement.scrollWidth") <= width


async def test_names_that_every_object_has_are_only_words(browser: Browser, api: MemoryApi) -> None:
    """A page whose evidence is called `constructor` reads as that and shows no code."""
    scan_id = api.submit()
    await finish_as_phishing(api.store, scan_id, Life(now=NOW, words=_INHERITED))
    _open(browser, api)
    browser.run(f"location.hash = '{scan_id}'")
    browser.wait("document.querySelector('#scan .chain')")
    browser.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    words = browser.run("scan.innerText")
    assert "function" not in words
    assert "[object" not in words
    via = browser.run("[...document.querySelectorAll('.chain .meta')].map((e) => e.innerText)")
    assert [each.partition(" · ")[0] for each in via][-len(_INHERITED) :] == list(_INHERITED)
    for name in _INHERITED:
        # As a way, a rule, an artefact's kind and a header.
        assert words.count(name) >= 4, name


def test_a_form_that_a_script_writes_is_told_apart(browser: Browser, api: MemoryApi) -> None:
    """The list of forms marks those that the page's own text does not contain."""
    own = Form(action="https://a.example/", has_password=True)
    page = Page(forms=(own, replace(own, by_script=True)))
    found = msgspec.json.encode(Evidence(page=page)).decode()
    _open(browser, api)
    browser.run(
        "import('/ui/evidence.js').then((module) => "
        f"document.body.replaceChildren(...[module.evidence({found}, [])].flat()))"
    )
    rows = browser.run("[...document.querySelectorAll('tbody tr')].map((row) => row.innerText)")
    assert ["written by a script" in row for row in rows] == [False, True]
    assert all("password" in row for row in rows)
