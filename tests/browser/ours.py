"""Loads a case with the fetcher as a separate process."""

from urllib.parse import urlsplit

from safeurl.model.report import Page
from tests.browser.case import ORIGIN, Case, Observation
from tests.browser.origin import authority, serve, summaries
from tests.support.fetching import Run, fetch


def observe(case: Case) -> Observation:
    """Fetch the case and return the observation by the report."""
    with serve(case) as server:
        done = fetch(server.url(case.start))
        return observation(done, authority(server), *summaries(server))


def observation(
    done: Run, address: str, lines: tuple[str, ...] = (), cookies: tuple[str, ...] = ()
) -> Observation:
    """Return the observation by a report; the server's address becomes `ORIGIN`."""
    page = next((line.page for line in done.evidence if line.page), None)
    body = next((line.body for line in done.evidence if line.body), None)
    if body is None:
        return Observation(requests=lines, cookies=cookies)
    fields = [field for form in page.forms for field in form.fields] if page else []
    return Observation(
        url=done.report.final_url.replace(address, ORIGIN),
        title=page.title if page else "",
        charset=body.charset.lower(),
        kind=body.declared_type,
        requests=lines,
        cookies=cookies,
        targets=_targets(page, done.report.final_url, address) if page else (),
        password=any(field.type == "password" for field in fields),
        onward=next((urlsplit(lead.url).path for lead in page.onward), "") if page else "",
        leads=bool(page and page.onward),
        text=page.text.replace(address, ORIGIN) if page else "",
    )


def _targets(page: Page, url: str, address: str) -> tuple[str, ...]:
    found = {target for form in page.forms for target in (form.action or url, *form.targets)}
    return tuple(sorted(target.replace(address, ORIGIN) for target in found))
