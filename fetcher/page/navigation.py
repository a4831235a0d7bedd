"""Collects the navigations of a page that need no input: refreshes, scripts, submitted forms."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from fetcher.page.code import PageScripts
from fetcher.page.evidence import (
    MAX_ONWARD_URL,
    FormDraft,
    LinkResolver,
    attribute,
    is_same_document,
    refresh_targets,
)
from fetcher.page.made import MadeContent
from fetcher.page.script.events import Elements
from fetcher.page.script.reader import ScriptNavigation, ScriptReader
from fetcher.sanitize import sanitize, strip_reference
from fetcher.streams import log_exception
from fetcher.subprocess_task import CpuTimeOverError, stop_when_cpu_time_is_over
from safeurl.model.report import MetaRefresh, Onward

_MAX_ONWARD = 16
#: Maximum number of texts in which forms are searched.
_MAX_MARKUP = 16


class PageNavigation(Struct, frozen=True):
    """The navigations of a page that need no input."""

    #: The destinations, without reloads of the page itself.
    onward: tuple[Onward, ...]
    #: HTML that the scripts write into the page.
    markup: tuple[str, ...]
    #: True if the scripts were not read to their end.
    is_truncated: bool = False


def find_navigation(
    code: PageScripts,
    refresh: MetaRefresh | None,
    forms: Sequence[FormDraft],
    links: LinkResolver,
    elements: Elements | None = None,
) -> PageNavigation:
    """Return the navigations of the page, without executing it."""
    reader = ScriptReader(links.page_url, links=code.links, elements=elements)
    made = MadeContent(reader, links)

    def read() -> None:
        reader.read(*code.scripts, *code.handlers)
        made.read(code)

    is_whole = is_read_whole(read)
    found: dict[Onward, None] = {}
    for each in filter(None, (refresh, *made.refreshes)):
        found.update(dict.fromkeys(refresh_targets(each, links.page_url, "meta_refresh")))
    for navigation in reader.navigations:
        found.update(dict.fromkeys(_script_navigation(navigation, forms, links)))
    for navigation in made.navigations:
        found.update(dict.fromkeys(_script_navigation(navigation, (), links)))
    markup = dict.fromkeys(
        (
            *list(dict.fromkeys(reader.written))[:_MAX_MARKUP],
            *list(dict.fromkeys(reader.inserted))[:_MAX_MARKUP],
        )
    )
    is_truncated = not is_whole or reader.is_truncated or made.is_truncated
    return PageNavigation(tuple(found)[:_MAX_ONWARD], tuple(markup), is_truncated)


def is_read_whole(read: Callable[[], None]) -> bool:
    """Read something of the scripts; return False if that failed or took too much CPU time.

    The scripts are hostile. What else is known of the page does not depend on them.
    """
    try:
        with stop_when_cpu_time_is_over():
            read()
    except (Exception, CpuTimeOverError):  # noqa: BLE001 - logged; the other evidence remains
        log_exception()
        return False
    return True


def _script_navigation(
    navigation: ScriptNavigation, forms: Sequence[FormDraft], links: LinkResolver
) -> Iterator[Onward]:
    """Yield the destination of a script's navigation; for a form it may be the page's own URL."""
    if navigation.is_form:
        url = (
            links.absolute(navigation.url)
            if navigation.url
            else _target(navigation.form, forms, links)
        )
        yield _onward(navigation, "form", url)
        return
    url = links.absolute(navigation.url) if navigation.url else ""
    if url and (
        is_same_document(url, links.page_url) or not url.startswith(("http://", "https://"))
    ):
        return
    yield _onward(navigation, "script", url)


def _onward(navigation: ScriptNavigation, how: str, url: str) -> Onward:
    return Onward(
        url=sanitize(url, MAX_ONWARD_URL),
        how=how,
        delay_s=navigation.delay_s,
        conditional=navigation.is_conditional,
    )


def _target(wanted: str | int, forms: Sequence[FormDraft], links: LinkResolver) -> str:
    """Return the target of the form that a script submits; of the first form if it is unknown."""
    named = {
        attribute(form.attributes, name): form for form in forms[::-1] for name in ("name", "id")
    }
    form = forms[0] if forms else None
    if isinstance(wanted, int):
        form = forms[wanted] if wanted < len(forms) else form
    elif wanted:
        form = named.get(wanted, form)
    if form is None:
        return ""
    action = strip_reference(attribute(form.attributes, "action"))
    return links.absolute(action) if action else links.page_url
