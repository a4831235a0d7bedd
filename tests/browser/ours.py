"""What the fetcher makes of a case, as a process of its own."""

from urllib.parse import urlsplit

from safeurl.model.report import Page
from tests.browser.case import ORIGIN, Case, Seen
from tests.browser.origin import place, serve, summaries
from tests.support.fetching import Run, fetch


def observe(case: Case) -> Seen:
    """Fetch the case and return what the report says."""
    with serve(case) as server:
        done = fetch(server.url(case.start))
        return seen(done, place(server), *summaries(server))


def seen(done: Run, own: str, lines: tuple[str, ...] = (), cookies: tuple[str, ...] = ()) -> Seen:
    """Return what a report says; `own` is the server's place in it, which `ORIGIN` stands for."""
    page = next((line.page for line in done.evidence if line.page), None)
    body = next((line.body for line in done.evidence if line.body), None)
    if body is None:
        return Seen(requests=lines, cookies=cookies)
    fields = [field for form in page.forms for field in form.fields] if page else []
    return Seen(
        url=done.report.final_url.replace(own, ORIGIN),
        title=page.title if page else "",
        charset=body.charset.lower(),
        kind=body.declared_type,
        requests=lines,
        cookies=cookies,
        targets=_targets(page, done.report.final_url, own) if page else (),
        password=any(field.type == "password" for field in fields),
        onward=next((urlsplit(lead.url).path for lead in page.onward), "") if page else "",
        text=page.text.replace(own, ORIGIN) if page else "",
    )


def _targets(page: Page, url: str, own: str) -> tuple[str, ...]:
    found = {target for form in page.forms for target in (form.action or url, *form.targets)}
    return tuple(sorted(target.replace(own, ORIGIN) for target in found))
