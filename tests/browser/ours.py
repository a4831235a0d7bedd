"""What the fetcher makes of a case, as a process of its own."""

from tests.browser.case import Case, Seen
from tests.browser.origin import Origin, summaries
from tests.support.fetching import Run, fetch


def run(case: Case) -> tuple[Run, Seen]:
    """Fetch the case; return the whole report beside what is compared."""
    with Origin(case.responses) as origin:
        done = fetch(f"http://{origin.place}{case.start}")
        lines, cookies = summaries(origin.requests())
        return done, _seen(done, origin, lines, cookies)


def _seen(done: Run, origin: Origin, lines: tuple[str, ...], cookies: tuple[str, ...]) -> Seen:
    page = next((line.page for line in done.evidence if line.page), None)
    body = next((line.body for line in done.evidence if line.body), None)
    if body is None:
        return Seen(requests=lines, cookies=cookies)
    fields = [field for form in page.forms for field in form.fields] if page else []
    return Seen(
        url=origin.relative(done.report.final_url),
        title=origin.relative(page.title) if page else "",
        charset=body.charset.lower(),
        kind=body.declared_type,
        requests=lines,
        cookies=cookies,
        targets=tuple(sorted({origin.relative(form.action) for form in page.forms}))
        if page
        else (),
        password=any(field.type == "password" for field in fields),
        text=origin.relative(page.text) if page else "",
    )
