"""One fetch, from the request to the last line of the report."""

import time

from msgspec import Struct, field
from msgspec.structs import replace

from fetcher.content.body import LoadedBody, load_body
from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError, FetchResult
from fetcher.favicon import Icon, find_icon
from fetcher.http.client import DEFAULT_USER_AGENT, Client
from fetcher.http.dial import Dialler, DirectDialler
from fetcher.http.gateway import GatewayDialler
from fetcher.http.hop_recorder import HopRecorder
from fetcher.http.redirects import RedirectFollower, url_refusal
from fetcher.page.evidence import (
    LinkResolver,
    ParsedPage,
    earlier_refresh,
    is_same_document,
    meta_refresh,
    refresh_targets,
)
from fetcher.page.read import read_page
from fetcher.report_writer import ReportWriter
from fetcher.sanitize import LONG, http_url, sanitize
from safeurl import __version__
from safeurl.address import AddressPolicy
from safeurl.errors import UrlRefusedError
from safeurl.model.report import FetchRequest, MetaRefresh, Onward, Page, ReportLine
from safeurl.state import Outcome
from safeurl.url import ParsedUrl, parse

#: The worker keeps artefacts of at most this size. In base64 this takes 21 of the report's 32 MiB.
MAX_BODY_BYTES = 16 * 1024 * 1024

_MAX_REDIRECTS = 50
_ICON_REDIRECTS = 3
#: With less time than this no icon is requested; the time is kept for writing the report.
_ICON_LEAST_S = 0.5
#: Least time for parsing a page, even if it arrived just before the deadline.
_PARSE_LEAST_S = 1.0
_REFRESHES = 5
#: The maximum length of the report's `Page.onward`.
_MAX_ONWARD = 16
_REFRESH_MAX_DELAY_S = 5.0
#: A refresh after at most this delay leaves a person no time to type anything.
_IMMEDIATE_S = 1.0

#: Input types for text. A page with such an input and a slow refresh is the chain's destination.
_TEXT_INPUTS = frozenset({"email", "password", "tel", "text", "number", "url", "file"})


class LoadedPage(Struct, frozen=True):
    """The page that was reached: its URL, its body and what was read from it."""

    target: ParsedUrl
    body: LoadedBody
    parsed: ParsedPage | None
    #: Absolute URL of the refresh to follow; empty if there is none.
    refresh: str
    #: Destination of the `Refresh` header, unless it is the page itself.
    by_header: tuple[Onward, ...]


class Session(Struct):
    """Runs one request."""

    request: FetchRequest
    writer: ReportWriter
    policy: AddressPolicy
    dialler: Dialler
    started: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Fetch the page, write each piece of evidence when it is ready, and end the report."""
        deadline = Deadline(self.started + self.request.timeout_s)
        client = Client(self.dialler, self._user_agent(), self._hop)
        follower = RedirectFollower(
            client,
            self.policy,
            min(self.request.max_redirects, _MAX_REDIRECTS),
            self.writer.refusal,
        )
        loaded, result = self._browse(follower, deadline)
        if loaded is not None:
            self._write(loaded, follower, deadline)
        self.writer.report(
            ReportLine(
                scan=sanitize(self.request.scan),
                attempt=self.request.attempt,
                outcome=result.outcome,
                detail=sanitize(result.detail, LONG),
                final_url=http_url(loaded.target.url) if loaded else "",
                elapsed_ms=milliseconds_since(self.started),
                fetcher=f"safeurl-fetcher/{__version__}",
            )
        )

    def _browse(
        self, follower: RedirectFollower, deadline: Deadline
    ) -> tuple[LoadedPage | None, FetchResult]:
        """Load the submitted page and follow its refreshes.

        If a refresh cannot be followed, the page that contains it is the result.
        """
        try:
            target = parse(self.request.url, self.policy)
        except UrlRefusedError as error:
            self.writer.refusal(url_refusal(error.reason, self.request.url))
            return None, FetchResult(Outcome.ADDRESS_REFUSED, str(error))
        try:
            loaded = self._load_page(follower, target, "submitted", deadline)
        except FetchFailedError as failure:
            return None, failure.result
        for _ in range(_REFRESHES):
            if not loaded.refresh:
                break
            try:
                target = follower.next_target(loaded.target, loaded.refresh)
                loaded = self._load_page(follower, target, "meta_refresh", deadline)
            except FetchFailedError as failure:
                detail = f"The page was read; its refresh was not followed. {failure}"
                return loaded, FetchResult(loaded.body.result.outcome, detail)
        return loaded, loaded.body.result

    def _load_page(
        self, follower: RedirectFollower, target: ParsedUrl, via: str, deadline: Deadline
    ) -> LoadedPage:
        response = follower.follow(target, via, deadline)
        try:
            cap = min(self.request.max_body_bytes, MAX_BODY_BYTES)
            body = load_body(response.exchange, response.head, cap, deadline)
        finally:
            response.close()
        url, parsed = response.target.url, None
        if body.is_page and body.data:
            seconds = max(deadline.left(), _PARSE_LEAST_S)
            charset = body.evidence.charset
            parsed = read_page(body.data, charset, url, seconds, is_xml=body.is_xml)
        header = meta_refresh(response.head.value("refresh"), LinkResolver(url))
        by_header = tuple(refresh_targets(header, url, "refresh_header"))
        refresh = _refresh_target(header, parsed, url)
        return LoadedPage(response.target, body, parsed, refresh, by_header)

    def _write(self, loaded: LoadedPage, follower: RedirectFollower, deadline: Deadline) -> None:
        """Write the evidence of the page; fetch its icon after that."""
        self.writer.body(loaded.body.evidence)
        if loaded.parsed is not None:
            page = loaded.parsed.page
            onward = (*loaded.by_header, *page.onward)[:_MAX_ONWARD]
            self.writer.page(replace(page, onward=onward))
        media_type = loaded.body.evidence.sniffed_type or "application/octet-stream"
        self.writer.artefact("body", loaded.body.data, media_type)
        icon = self._icon(loaded, follower, deadline)
        if icon is not None:
            self.writer.favicon(icon.favicon)
            self.writer.artefact("favicon", icon.data, icon.media_type)

    def _icon(
        self, loaded: LoadedPage, follower: RedirectFollower, deadline: Deadline
    ) -> Icon | None:
        if loaded.parsed is None or deadline.left() < _ICON_LEAST_S:
            return None
        # The hops of the icon's requests are not evidence; only their refusals are.
        client = Client(follower.client.dialler, follower.client.user_agent, self._refusal)
        client.jar = follower.client.jar
        icon_follower = RedirectFollower(client, self.policy, _ICON_REDIRECTS, self.writer.refusal)
        return find_icon(icon_follower, loaded.target, loaded.parsed.icon, deadline)

    def _hop(self, recorder: HopRecorder) -> None:
        self.writer.hop(recorder.evidence())
        self._refusal(recorder)

    def _refusal(self, recorder: HopRecorder) -> None:
        if recorder.refusal is not None:
            self.writer.refusal(recorder.refusal)

    def _user_agent(self) -> str:
        wanted = sanitize(self.request.user_agent).encode("ascii", "ignore").decode().strip()
        return wanted or DEFAULT_USER_AGENT


def make_session(request: FetchRequest, writer: ReportWriter) -> Session:
    """Return a session with the dialler that the request asks for.

    Raises `ConfigError` if the request's address policy is invalid.
    """
    policy = AddressPolicy.parse(request.policy)
    dialler: Dialler = GatewayDialler() if request.gateway else DirectDialler(policy)
    return Session(request, writer, policy, dialler)


def _refresh_target(header: MetaRefresh | None, parsed: ParsedPage | None, url: str) -> str:
    """Return the URL of the refresh to follow; empty if there is none.

    A slow refresh is not followed, and none that a page with text inputs delays.
    """
    page = parsed.page if parsed else Page()
    refresh = earlier_refresh(header, page.meta_refresh)
    if refresh is None or refresh.delay_s > _REFRESH_MAX_DELAY_S:
        return ""
    has_text_input = any(field.type in _TEXT_INPUTS for form in page.forms for field in form.fields)
    if has_text_input and refresh.delay_s > _IMMEDIATE_S:
        return ""
    # A refresh to the page itself, or to one of its fragments, shows no other page.
    return "" if is_same_document(refresh.url, url) else refresh.url
