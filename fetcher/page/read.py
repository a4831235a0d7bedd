"""Reads a page's bytes into evidence, whatever the bytes are."""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from fetcher.content.charset import decode_text
from fetcher.deadline import Deadline
from fetcher.page.noscript import without_noscript
from fetcher.page.reading import Reading
from fetcher.streams import log
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess
from safeurl.model.report import Page

#: Bytes of a page that are parsed.
MAX_PARSED_BYTES = 2 * 1024 * 1024

#: Seconds of computing, by which every host reads a page alike however busy it is.
_DOM_S = 4.0
_ROUGH_S = 2.0
_DOUBT = "What stands inside of noscript could not be told for certain."


def read_page(
    data: bytes, charset: str, url: str, seconds: float, *, is_xml: bool = False
) -> Reading:
    """Return what the page says; its `partial` tells why it may not be all.

    Takes up to `seconds` for the parser; the fallback gets two more, but no more than half.
    """
    deadline = Deadline.after(seconds)
    cut = f"Only the first {MAX_PARSED_BYTES:,} bytes were read." if _is_cut(data) else ""
    try:
        parse = _parse_xml if is_xml else _parse
        reading = _read_in_subprocess(lambda: parse(data, charset, url), seconds, _DOM_S)
    except TaskFailedError as failure:
        left = max(deadline.left(), min(_ROUGH_S, seconds / 2))
        reading = _read_fallback(data, charset, url, left, f"The parser {failure}.")
    return _with_partial(reading, cut)


def _parse(data: bytes, charset: str, url: str) -> Reading:
    from fetcher.page.prescan import find_obstacle  # noqa: PLC0415 - only the child needs these

    text, is_sure = without_noscript(decode_text(data[:MAX_PARSED_BYTES], charset))
    doubt = "" if is_sure else _DOUBT
    obstacle = find_obstacle(text)
    if obstacle:
        return _with_partial(_parse_fallback(text, url, obstacle), doubt)
    from fetcher.page.dom import read_dom  # noqa: PLC0415 - see above

    return _with_partial(read_dom(text, url), doubt)


def _parse_xml(data: bytes, charset: str, url: str) -> Reading:
    from fetcher.page.xml import read_xml  # noqa: PLC0415 - only the child needs it

    return read_xml(decode_text(data[:MAX_PARSED_BYTES], charset), url)


def _read_fallback(data: bytes, charset: str, url: str, seconds: float, reason: str) -> Reading:
    def task() -> Reading:
        return _parse_fallback(decode_text(data[:MAX_PARSED_BYTES], charset), url, reason)

    try:
        return _read_in_subprocess(task, seconds, _ROUGH_S)
    except TaskFailedError as failure:
        return Reading(Page(partial=f"{reason} The fallback {failure} too."))


def _parse_fallback(text: str, url: str, reason: str) -> Reading:
    from fetcher.page.fallback import read_roughly  # noqa: PLC0415 - rarely needed

    reading = read_roughly(without_noscript(text)[0], url)
    return _with_partial(reading, reason)


def _with_partial(reading: Reading, reason: str) -> Reading:
    """Return the reading with one more reason why it may not be all."""
    partial = " ".join(filter(None, (reading.page.partial, reason)))
    return replace(reading, page=replace(reading.page, partial=partial))


def _read_in_subprocess(task: Callable[[], Reading], seconds: float, cpu_s: float) -> Reading:
    """Run the task in a child; what comes back is decoded as strictly as a worker would."""
    encoded = run_in_subprocess(lambda: msgspec.json.encode(task()), seconds, cpu_s)
    try:
        return msgspec.json.decode(encoded, type=Reading)
    except msgspec.MsgspecError as error:
        log(f"page evidence does not fit: {error}")
        raise TaskFailedError("failed") from error


def _is_cut(data: bytes) -> bool:
    return len(data) > MAX_PARSED_BYTES
