"""Chromium's results for the public suites, and whether ours are equal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ada_url import URL

from fetcher.content.sniff import find_charset
from safeurl.errors import UrlRefusedError
from safeurl.url import resolve
from tests.peers import differences
from tests.peers.suites import NO_BASE, UrlCase, encoding_cases, url_cases
from tests.support.browser import Browser
from tests.support.pages import PageServer, Reply, Request

_READ = """JSON.stringify(%s.map(([text, base]) => {
  try { return new URL(text, base).href } catch { return null }
}))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium."""
    opened = Browser(Path(tmp_path_factory.mktemp("chromium")))
    yield opened
    opened.close()


def test_urls_are_read_as_chromium_does(browser: Browser) -> None:
    """Or refused by policy, or the difference is written down."""
    cases = url_cases()
    pairs = [(case.text, case.base or NO_BASE) for case in cases]
    read = json.loads(browser.run(_READ % json.dumps(pairs)))
    differing = {
        case.text: (found, ours)
        for case, found in zip(cases, map(_without_user, read), strict=True)
        if (ours := _ours(case, found)) != found
    }
    assert set(differing) == set(differences.CHROMIUM_URLS), ascii(differing)


def test_documents_are_read_in_the_set_that_chromium_takes(browser: Browser) -> None:
    """For each document of the encoding suite, also if the suite differs from Chromium."""
    documents = [case.document for case in encoding_cases()]

    def document(request: Request) -> Reply:
        return Reply(documents[int(request.path[1:])], content_type="text/html")

    with PageServer(fallback=document) as server:
        found = [_charset(browser, server.url(f"/{n}")) for n in range(len(documents))]
    assert found == [find_charset(each, "text/html") for each in documents]


def _ours(case: UrlCase, expected: str | None) -> str | None:
    try:
        return resolve(case.base or NO_BASE, case.text).url
    except UrlRefusedError as error:
        return expected if error.reason in differences.POLICY else None


def _without_user(href: str | None) -> str | None:
    if href is None or not href.startswith("http"):
        return None
    try:
        url = URL(href)
    except ValueError:
        return href
    url.username = url.password = ""
    return url.href


def _charset(browser: Browser, url: str) -> str:
    browser.tell("Page.navigate", url=url)
    browser.wait(f'document.URL === "{url}" && document.readyState === "complete"')
    return str(browser.run("document.characterSet")).lower()
