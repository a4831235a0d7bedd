"""One fetch from its request to the last line of its report."""

import time
from dataclasses import dataclass, field

from msgspec.structs import replace

from fetcher.content.body import Load, load
from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import Ending, FetchFailedError
from fetcher.favicon import Icon, find_icon
from fetcher.http.client import DEFAULT_USER_AGENT, Client
from fetcher.http.dial import Dialler, DirectDialler
from fetcher.http.gateway import GatewayDialler
from fetcher.http.hop_recorder import HopRecorder
from fetcher.http.redirects import Walker, refusal
from fetcher.page.read import read_page
from fetcher.page.reading import Links, Reading, is_same, meta_refresh, refreshed, sooner
from fetcher.report_writer import Reporter
from fetcher.sanitize import LONG, clean, opened
from safeurl import __version__
from safeurl.address import AddressPolicy
from safeurl.errors import UrlRefusedError
from safeurl.model.report import FetchRequest, MetaRefresh, Onward, Page, ReportLine
from safeurl.state import Outcome
from safeurl.url import ParsedUrl, parse

#: The worker keeps artefacts up to this size; base64 makes 21 of the report's 32 MiB of it.
MAX_BODY_BYTES = 16 * 1024 * 1024

_MAX_REDIRECTS = 50
_ICON_REDIRECTS = 3
#: Less than this is no use for an icon, and is better left for the report.
_ICON_LEAST_S = 0.5
#: Reading a page that arrived at the last moment still gets this long.
_PARSE_LEAST_S = 1.0
_REFRESHES = 5
#: As many as the report's `Page.onward` holds.
_MAX_ONWARD = 16
_REFRESH_MAX_DELAY_S = 5.0
#: Nobody types anything before a refresh that comes within this.
_AT_ONCE_S = 1.0

#: A page that asks for one of these and stays a while is where the chain wanted to lead.
_ASKING = frozenset({"email", "password", "tel", "text", "number", "url", "file"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A page that was reached: response, body and what it says."""

    target: ParsedUrl
    load: Load
    reading: Reading | None
    #: Where it sends its reader by itself after a moment; empty when nowhere.
    refresh: str
    #: Where its `Refresh` header leads, if not to the page itself.
    by_header: tuple[Onward, ...]


@dataclass(slots=True)
class Session:
    """Runs one request."""

    request: FetchRequest
    reporter: Reporter
    policy: AddressPolicy
    dialler: Dialler
    started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Fetch, write the evidence as it is ready, and the report last."""
        deadline = Deadline(self.started + self.request.timeout_s)
        client = Client(self.dialler, self._user_agent(), self._hop)
        walker = Walker(
            client,
            self.policy,
            min(self.request.max_redirects, _MAX_REDIRECTS),
            self.reporter.refusal,
        )
        seen, ending = self._browse(walker, deadline)
        if seen is not None:
            self._write(seen, walker, deadline)
        self.reporter.report(
            ReportLine(
                scan=clean(self.request.scan),
                attempt=self.request.attempt,
                outcome=ending.outcome,
                detail=clean(ending.detail, LONG),
                final_url=opened(seen.target.url) if seen else "",
                elapsed_ms=milliseconds_since(self.started),
                fetcher=f"safeurl-fetcher/{__version__}",
            )
        )

    def _browse(self, walker: Walker, deadline: Deadline) -> tuple[Seen | None, Ending]:
        """Walk to the page and on through its refreshes.

        A refresh that leads nowhere does not undo the page before it: that page was seen.
        """
        try:
            target = parse(self.request.url, self.policy)
        except UrlRefusedError as error:
            self.reporter.refusal(refusal(error.reason, self.request.url))
            return None, Ending(Outcome.ADDRESS_REFUSED, str(error))
        try:
            seen = self._see(walker, target, "submitted", deadline)
        except FetchFailedError as failure:
            return None, failure.ending
        for _ in range(_REFRESHES):
            if not seen.refresh:
                break
            try:
                onward = walker.next_target(seen.target, seen.refresh)
                seen = self._see(walker, onward, "meta_refresh", deadline)
            except FetchFailedError as failure:
                detail = f"The page was read; its refresh was not followed. {failure}"
                return seen, Ending(seen.load.ending.outcome, detail)
        return seen, seen.load.ending

    def _see(self, walker: Walker, target: ParsedUrl, via: str, deadline: Deadline) -> Seen:
        visit = walker.arrive(target, via, deadline)
        try:
            cap = min(self.request.max_body_bytes, MAX_BODY_BYTES)
            loaded = load(visit.exchange, visit.head, cap, deadline)
        finally:
            visit.close()
        url, reading = visit.target.url, None
        if loaded.is_page and loaded.data:
            seconds = max(deadline.left(), _PARSE_LEAST_S)
            charset = loaded.body.charset
            reading = read_page(loaded.data, charset, url, seconds, is_xml=loaded.is_xml)
        header = meta_refresh(visit.head.value("refresh"), Links(url))
        by_header = tuple(refreshed(header, url, "refresh_header"))
        refresh = _refresh_target(header, reading, url)
        return Seen(visit.target, loaded, reading, refresh, by_header)

    def _write(self, seen: Seen, walker: Walker, deadline: Deadline) -> None:
        """Write all that is known of the page, and only then ask for its icon."""
        self.reporter.body(seen.load.body)
        if seen.reading is not None:
            page = seen.reading.page
            self.reporter.page(replace(page, onward=(*seen.by_header, *page.onward)[:_MAX_ONWARD]))
        kind = seen.load.body.sniffed_type or "application/octet-stream"
        self.reporter.artefact("body", seen.load.data, kind)
        icon = self._icon(seen, walker, deadline)
        if icon is not None:
            self.reporter.favicon(icon.favicon)
            self.reporter.artefact("favicon", icon.data, icon.media_type)

    def _icon(self, seen: Seen, walker: Walker, deadline: Deadline) -> Icon | None:
        if seen.reading is None or deadline.left() < _ICON_LEAST_S:
            return None
        quiet = Client(walker.client.dialler, walker.client.user_agent, self._refusal)
        quiet.jar = walker.client.jar
        icon_walker = Walker(quiet, self.policy, _ICON_REDIRECTS, self.reporter.refusal)
        return find_icon(icon_walker, seen.target, seen.reading.icon, deadline)

    def _hop(self, trace: HopRecorder) -> None:
        self.reporter.hop(trace.hop())
        self._refusal(trace)

    def _refusal(self, trace: HopRecorder) -> None:
        if trace.refusal is not None:
            self.reporter.refusal(trace.refusal)

    def _user_agent(self) -> str:
        wanted = clean(self.request.user_agent).encode("ascii", "ignore").decode().strip()
        return wanted or DEFAULT_USER_AGENT


def make_session(request: FetchRequest, reporter: Reporter) -> Session:
    """Wire a session to its way out; raises `ConfigError` on a bad policy."""
    policy = AddressPolicy.parse(
        request.allow_cidrs,
        request.deny_cidrs,
        request.allow_ports,
        request.deny_ports,
        dns64=request.dns64,
    )
    dialler: Dialler = GatewayDialler() if request.gateway else DirectDialler(policy)
    return Session(request, reporter, policy, dialler)


def _refresh_target(header: MetaRefresh | None, reading: Reading | None, url: str) -> str:
    """Return where a refresh leads, if it comes soon and the page wants nothing typed before."""
    page = reading.page if reading else Page()
    refresh = sooner(header, page.meta_refresh)
    if refresh is None or refresh.delay_s > _REFRESH_MAX_DELAY_S:
        return ""
    asks = any(field.type in _ASKING for form in page.forms for field in form.fields)
    if asks and refresh.delay_s > _AT_ONCE_S:
        return ""
    # A page that loads itself again, or scrolls itself, is seen already.
    return "" if is_same(refresh.url, url) else refresh.url
