"""What Chromium makes of a case."""

import time
from typing import Final
from urllib.parse import urlsplit

from tests.browser.case import ORIGIN, Case, Seen
from tests.browser.origin import pages_asked, place, serve, summaries
from tests.support.browser import Browser, Json
from tests.support.pages import PageServer

#: Seconds after which a page that never settles is looked at as it is.
_MOST_S: Final = 12.0
_STEP_S: Final = 0.05

_LOOK: Final = """(() => {
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


def observe(case: Case, browser: Browser) -> Seen:
    """Open the case in a tab and return what it shows once it has settled."""
    browser.tell("Page.navigate", url="about:blank")
    browser.tell("Network.clearBrowserCookies")
    browser.tell("Network.clearBrowserCache")
    with serve(case) as server:
        browser.tell("Page.navigate", url=server.url(case.start))
        looked = _settled(case, browser, server)
        lines, cookies = summaries(server)
        if not str(looked["url"]).startswith(("http:", "https:")):
            return Seen(requests=lines, cookies=cookies)
        return Seen(
            url=looked["url"].replace(place(server), ORIGIN),
            title=looked["title"],
            charset=looked["charset"].lower(),
            kind=looked["kind"],
            requests=lines,
            cookies=cookies,
            targets=tuple(sorted({x.replace(place(server), ORIGIN) for x in looked["targets"]})),
            password=looked["password"],
            onward=_onward(case, server, looked["url"]),
            text=" ".join(looked["text"].split()).replace(place(server), ORIGIN),
        )


def _onward(case: Case, server: PageServer, url: str) -> str:
    """Return where the page has led, without its query."""
    path = urlsplit(url).path
    return path if url.startswith(server.url("")) and path != case.start else ""


def _settled(case: Case, browser: Browser, server: PageServer) -> Json:
    """Return the page's facts once neither they nor the requests change any more."""
    end = time.monotonic() + _MOST_S
    last: tuple[object, ...] = ()
    since = time.monotonic()
    while True:
        try:
            looked = browser.run(_LOOK)
        except AssertionError:
            # A page that leaves while it is asked answers nothing; the next one will.
            if time.monotonic() >= end:
                raise
            last = ()
            continue
        state = (looked["ready"], looked["url"], len(pages_asked(server)))
        now = time.monotonic()
        if state != last:
            last, since = state, now
        is_quiet = looked["ready"] == "complete" and now - since >= case.quiet_s
        if is_quiet or now >= end:
            return looked
        time.sleep(_STEP_S)
