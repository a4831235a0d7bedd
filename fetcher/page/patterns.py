"""Finds title, forms and refresh with regular expressions, if the parser cannot be used.

Every quantifier has a limit, so the time is linear in the length of the text.
"""

import html
import re

from fetcher.page.evidence import (
    Attributes,
    FormDraft,
    LinkResolver,
    ParsedPage,
    attribute,
    earlier_refresh,
    meta_refresh,
)
from fetcher.sanitize import LONG, sanitize_line
from safeurl.model.report import MetaRefresh, Page

_MAX_FORMS = 64

_TITLE = re.compile(r"<title[^>]{0,256}>([^<]{1,4096})", re.IGNORECASE)
_LANGUAGE = re.compile(r"<html\s[^>]{0,512}?\blang\s?=\s?[\"']?([\w-]{1,35})", re.IGNORECASE)
_TAG = re.compile(r"<(/?)(form|input|select|textarea|button|meta)\b([^>]{0,2048})", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"([a-z-]{1,40})\s{0,8}=\s{0,8}(?:\"([^\"]{0,2048})\"|'([^']{0,2048})'|([^\s\"'>]{1,2048}))",
    re.IGNORECASE,
)


def read_with_patterns(text: str, page_url: str) -> ParsedPage:
    """Return the evidence that the patterns find; the caller sets `partial`."""
    links = LinkResolver(page_url)
    forms: list[FormDraft] = []
    stray = FormDraft({}, is_stray=True)
    current = stray
    refresh: MetaRefresh | None = None
    for closing, name, rest in _TAG.findall(text):
        tag = name.lower()
        attributes = _attributes(rest)
        if tag == "meta":
            if attribute(attributes, "http-equiv").lower() == "refresh":
                found = meta_refresh(attribute(attributes, "content"), links)
                refresh = earlier_refresh(refresh, found)
        elif tag == "form":
            current = stray if closing else FormDraft(attributes)
            forms += [] if closing else [current]
        elif not closing:
            current.add(tag, attributes)
    drafts = [*forms, *([stray] if stray.fields else [])][:_MAX_FORMS]
    page = Page(
        title=_first(_TITLE, text),
        language=_first(_LANGUAGE, text),
        forms=tuple(draft.form(links) for draft in drafts),
        meta_refresh=refresh,
    )
    return ParsedPage(page)


def _attributes(text: str) -> Attributes:
    return {
        name.lower(): html.unescape(double or single or bare)
        for name, double, single, bare in _ATTRIBUTE.findall(text)
    }


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return sanitize_line(html.unescape(match[1]), LONG) if match else ""
