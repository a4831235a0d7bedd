"""Reads the evidence of a page from its bytes, whatever they are."""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from fetcher.content.charset import decode_text
from fetcher.deadline import Deadline
from fetcher.page.evidence import ParsedPage
from fetcher.page.noscript import without_noscript
from fetcher.streams import log
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess
from safeurl.model.report import Page

#: Number of bytes of a page that are parsed.
MAX_PARSED_BYTES = 2 * 1024 * 1024

#: CPU seconds, so that busy hosts read a page in the same way as idle ones.
_DOM_S = 4.0
_PATTERNS_S = 2.0
_UNCERTAIN = "It is uncertain which parts of the page are inside of noscript."


def read_page(
    data: bytes, charset: str, url: str, seconds: float, *, is_xml: bool = False
) -> ParsedPage:
    """Return the evidence of the page; `partial` is the reason why it may be incomplete.

    The parser has up to `seconds`. The pattern search has at most two seconds more, and at most
    half of `seconds`.
    """
    deadline = Deadline.after(seconds)
    truncated = (
        f"Only the first {MAX_PARSED_BYTES:,} bytes were read." if _is_truncated(data) else ""
    )
    try:
        parse = _parse_xml if is_xml else parse_html
        parsed = _read_in_subprocess(lambda: parse(data, charset, url), seconds, _DOM_S)
    except TaskFailedError as failure:
        left = max(deadline.left(), min(_PATTERNS_S, seconds / 2))
        parsed = _read_fallback(data, charset, url, left, f"The parser {failure}.")
    return _with_partial(parsed, truncated)


def parse_html(data: bytes, charset: str, url: str) -> ParsedPage:
    """Return the evidence of an HTML page; the parser may crash or hang on hostile bytes."""
    from fetcher.page.prescan import find_exceeded_limit  # noqa: PLC0415 - only the child process needs it

    text, is_certain = without_noscript(decode_text(data[:MAX_PARSED_BYTES], charset))
    uncertain = "" if is_certain else _UNCERTAIN
    exceeded = find_exceeded_limit(text)
    if exceeded:
        return _with_partial(_parse_fallback(text, url, exceeded), uncertain)
    from fetcher.page.dom import read_dom  # noqa: PLC0415 - see above

    return _with_partial(read_dom(text, url), uncertain)


def _parse_xml(data: bytes, charset: str, url: str) -> ParsedPage:
    from fetcher.page.xml import read_xml  # noqa: PLC0415 - only the child needs it

    return read_xml(decode_text(data[:MAX_PARSED_BYTES], charset), url)


def _read_fallback(data: bytes, charset: str, url: str, seconds: float, reason: str) -> ParsedPage:
    def task() -> ParsedPage:
        return _parse_fallback(decode_text(data[:MAX_PARSED_BYTES], charset), url, reason)

    try:
        return _read_in_subprocess(task, seconds, _PATTERNS_S)
    except TaskFailedError as failure:
        return ParsedPage(Page(partial=f"{reason} The search with patterns {failure} too."))


def _parse_fallback(text: str, url: str, reason: str) -> ParsedPage:
    from fetcher.page.patterns import read_with_patterns  # noqa: PLC0415 - rarely needed

    parsed = read_with_patterns(without_noscript(text)[0], url)
    return _with_partial(parsed, reason)


def _with_partial(parsed: ParsedPage, reason: str) -> ParsedPage:
    """Return the parsed page with another reason why it may be incomplete."""
    partial = " ".join(filter(None, (parsed.page.partial, reason)))
    return replace(parsed, page=replace(parsed.page, partial=partial))


def _read_in_subprocess(task: Callable[[], ParsedPage], seconds: float, cpu_s: float) -> ParsedPage:
    """Run the task in a child; the result is validated as strictly as by a worker."""
    encoded = run_in_subprocess(lambda: msgspec.json.encode(task()), seconds, cpu_s)
    try:
        return msgspec.json.decode(encoded, type=ParsedPage)
    except msgspec.MsgspecError as error:
        log(f"page evidence does not fit: {error}")
        raise TaskFailedError("failed") from error


def _is_truncated(data: bytes) -> bool:
    return len(data) > MAX_PARSED_BYTES
