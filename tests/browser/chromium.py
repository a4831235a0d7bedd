"""Loads a case in Chromium."""

import time
from typing import Final
from urllib.parse import urlsplit

from tests.browser.case import ORIGIN, Case, Observation
from tests.browser.origin import authority, page_requests, serve, summaries
from tests.support.browser import Browser, Json
from tests.support.pages import PageServer

#: Seconds after which a page that is still changing is observed as it is.
_MAX_WAIT_S: Final = 12.0
_STEP_S: Final = 0.05

_STATE_SCRIPT: Final = """(() => {
  const forms = [...document.querySelectorAll("form")].filter(f => f.action !== undefined);
  const targets = forms.flatMap(form => [
    form.getAttribute("action") === null ? document.URL : String(form.action),
    ...[...document.querySelectorAll("[formaction]")].filter(e => e.form === form
      && (e.type === "submit" || e.type === "image")).map(e => e.formAction),
  ]);
  return {
    ready: document.readyState, url: document.URL, title: document.title,
    charset: document.characterSet, kind: document.contentType, targets: targets,
    password: [...document.querySelectorAll("input")].some(e => e.type === "password"),
    text: (document.body || document.documentElement || {textContent: ""}).textContent || "",
  };
})()"""


def observe(case: Case, browser: Browser) -> Observation:
    """Open the case in a tab and return the observation of the loaded page."""
    browser.tell("Page.navigate", url="about:blank")
    browser.tell("Network.clearBrowserCookies")
    browser.tell("Network.clearBrowserCache")
    with serve(case) as server:
        browser.tell("Page.navigate", url=server.url(case.start))
        page_state = _wait_until_loaded(case, browser, server)
        lines, cookies = summaries(server)
        if not str(page_state["url"]).startswith(("http:", "https:")):
            return Observation(requests=lines, cookies=cookies)
        return Observation(
            url=page_state["url"].replace(authority(server), ORIGIN),
            title=page_state["title"],
            charset=page_state["charset"].lower(),
            kind=page_state["kind"],
            requests=lines,
            cookies=cookies,
            targets=tuple(
                sorted({x.replace(authority(server), ORIGIN) for x in page_state["targets"]})
            ),
            password=page_state["password"],
            onward=_onward(case, server, page_state["url"]),
            leads=bool(_onward(case, server, page_state["url"])),
            text=" ".join(page_state["text"].split()).replace(authority(server), ORIGIN),
        )


def _onward(case: Case, server: PageServer, url: str) -> str:
    """Return the path to which the page has navigated, without its query."""
    path = urlsplit(url).path
    return path if url.startswith(server.url("")) and path != case.start else ""


def _wait_until_loaded(case: Case, browser: Browser, server: PageServer) -> Json:
    """Return the page's state when neither it nor the requests change any more."""
    end = time.monotonic() + _MAX_WAIT_S
    last: tuple[object, ...] = ()
    since = time.monotonic()
    while True:
        try:
            page_state = browser.run(_STATE_SCRIPT)
        except AssertionError:
            # A page that navigates during the call returns no result; the next call does.
            if time.monotonic() >= end:
                raise
            last = ()
            continue
        state = (page_state["ready"], page_state["url"], len(page_requests(server)))
        now = time.monotonic()
        if state != last:
            last, since = state, now
        is_quiet = page_state["ready"] == "complete" and now - since >= case.quiet_s
        if is_quiet or now >= end:
            return page_state
        time.sleep(_STEP_S)
