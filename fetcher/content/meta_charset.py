"""Finds the character set that a page declares in its first bytes.

The search is Chromium's: it is the HTML standard's search of the first 1,024 bytes, continued to
the end of the document's head. Comments and the content of scripts, styles and similar elements are
skipped.
"""

import re
from collections.abc import Iterator

import webencodings

#: The first bytes that are searched in any case, and the limit of the search in a head.
_LEAST_BYTES = 1024
_MOST_BYTES = 64 * 1024

_XML = re.compile(rb"<\?xml[^>]*?encoding[\x00-\x20]*=[\x00-\x20]*([\"'])([^\"'>]*)\1", re.DOTALL)
_UTF16_XML = ((b"<\0?\0x\0", "utf-16le"), (b"\0<\0?\0x", "utf-16be"))
_NAME = re.compile(rb"/?[a-zA-Z][^\t\n\f\r />]*")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r /=>]*)"
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*"
    rb"(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)|(?=>)))?",
)
_TAG_END = re.compile(rb"[\t\n\f\r /]*>")
_COMMENT_END = re.compile(rb"--!?>")
#: A quote without an end extends to the end of the data.
_OPEN_QUOTE = re.compile(rb"[\t\n\f\r ]*=[\t\n\f\r ]*[\"']")
_CHARSET = re.compile(rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*", re.IGNORECASE)
_QUOTED = re.compile(rb"([\"'])(.*?)\1", re.DOTALL)
_BARE = re.compile(rb"[^\t\n\f\r ;\"'][^\t\n\f\r ;]*")
#: Elements whose content is text, even if it looks like tags.
_RAW_TEXT = frozenset(b"iframe noembed noframes plaintext script style textarea title xmp".split())
#: Elements that may occur in a head. The search ends after any other tag.
_IN_HEAD = frozenset(b"script noscript style link meta object title base".split())
_STARTS = frozenset((b"html", b"head"))

Attributes = dict[bytes, bytes]


def find_encoding(label: str) -> str:
    """Return the Encoding Standard's name for a label; empty if the label is unknown."""
    found = webencodings.lookup(label)
    return found.name if found else ""


def declared_charset(data: bytes, *, is_xml: bool = False) -> str:
    """Return the name of the character set that the document declares; empty if there is none.

    An XML document can declare it only in its XML declaration.
    """
    for mark, name in _UTF16_XML:
        if data.startswith(mark):
            return name
    data = data[:_MOST_BYTES]
    for tag, attributes in () if is_xml else _tags(data):
        if tag == b"meta" and (found := _meta(attributes)):
            return found
    match = _XML.match(data[:_LEAST_BYTES])
    return _ascii_charset(match[2]) if match else ""


def _ascii_charset(label: bytes) -> str:
    """Return the character set for a label that was read from ASCII-compatible bytes."""
    name = find_encoding(label.decode("latin-1"))
    if name.startswith("utf-16"):
        return "utf-8"
    return "windows-1252" if name == "x-user-defined" else name


def _tags(data: bytes) -> Iterator[tuple[bytes, Attributes]]:
    """Yield the start tags that may declare a character set."""
    at, is_head = 0, True
    while (at := data.find(b"<", at)) >= 0 and (is_head or at < _LEAST_BYTES):
        if data.startswith(b"<!--", at):
            # `<!-->` and `<!--->` are complete comments.
            close = _COMMENT_END.search(data, at + 2)
            if close is None:
                return
            at = close.end()
            continue
        match = _NAME.match(data, at + 1)
        if match is None:
            is_bogus = data[at + 1 : at + 2] in {b"!", b"?", b"/"}
            at = data.find(b">", at) if is_bogus else at + 1
            if at < 0:
                return
            continue
        name = match[0].lower()
        attributes, at = _attributes(data, match.end())
        if at < 0:
            return
        yield name, attributes
        if name in _RAW_TEXT:
            end = re.compile(rb"</%b(?=[\t\n\f\r />])" % name, re.IGNORECASE).search(data, at)
            if end is None:
                return
            at = end.start()
        is_head = is_head and (name.removeprefix(b"/") in _IN_HEAD or name in _STARTS)


def _attributes(data: bytes, at: int) -> tuple[Attributes, int]:
    """Return a tag's attributes and its end; the end is -1 if the data ends within the tag."""
    found: Attributes = {}
    while True:
        if end := _TAG_END.match(data, at):
            return found, end.end()
        match = _ATTRIBUTE.match(data, at)
        if match is None or match.end() >= len(data):
            return found, -1
        at = match.end()
        name, *values = match.groups()
        if not any(values) and _OPEN_QUOTE.match(data, at):
            return found, -1
        # If a name is repeated, this search takes the last value. In the document it would be the
        # first.
        found[name.lower()] = next((x for x in values if x is not None), b"")


def _meta(attributes: Attributes) -> str:
    if b"charset" in attributes:
        return _ascii_charset(attributes[b"charset"])
    if attributes.get(b"http-equiv", b"").lower() != b"content-type":
        return ""
    return _ascii_charset(_content_label(attributes.get(b"content", b"")))


def _content_label(content: bytes) -> bytes:
    match = _CHARSET.search(content)
    if match is None:
        return b""
    label = _QUOTED.match(content, match.end()) or _BARE.match(content, match.end())
    if label is None:
        return b""
    return label[label.lastindex or 0]
