"""Determines the media type and the character set of bytes.

The signatures are those of the WHATWG MIME Sniffing Standard, and those of file types that malware
uses.
"""

import re

from fetcher.content.charset import BOMS
from fetcher.content.meta_charset import declared_charset, find_encoding

_HEAD_BYTES = 1445  # the standard's limit
_UTF8_BYTES = 2 * 1024 * 1024
_LETTERS = 3
#: First bytes of UTF-8 characters that have more than one byte.
_UTF8_LEADS = range(0xC2, 0xF5)

#: (offset, signature, type); the first match is used.
_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBPVP", "image/webp"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"BM", "image/bmp"),
    (8, b"WAVE", "audio/wave"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS\x00", "application/ogg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"dex\n", "application/x-dex"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x00asm", "application/wasm"),
)

#: As in Chromium, the tag's name need not end, so `<a` and `<b` match many other tags too.
_HTML = re.compile(
    rb"\s*<(?:!--|!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|p)",
    re.IGNORECASE,
)
_XML = re.compile(rb"\s*<\?xml")
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\"{\[\]0-9tfn-])")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")

_HEADER = re.compile(r"(?:\A|[;\s])charset\s{0,8}=\s{0,8}[\"']?([^\s\"';,]{1,40})", re.IGNORECASE)
_JSON_TYPE = re.compile(r"\s*[^;,\s]{1,127}[/+]json\b", re.IGNORECASE)
_XML_TYPE = re.compile(r"\s*[^;,\s]{1,127}[/+]xml\b", re.IGNORECASE)
_PLAIN = re.compile(r"\s*text/plain\b", re.IGNORECASE)


def sniff_type(data: bytes) -> str:
    """Return the media type by the first bytes; empty if there are no bytes."""
    head = data[:_HEAD_BYTES]
    if not head:
        return ""
    is_binary = _BINARY.search(head) is not None
    for offset, signature, kind in _SIGNATURES:
        # A text may begin with the two or three letters of a short signature.
        if head.startswith(signature, offset) and (len(signature) > _LETTERS or is_binary):
            return kind
    bom, encoding = next(((mark, name) for mark, name in BOMS if head.startswith(mark)), (b"", ""))
    if encoding:
        head = head[len(bom) :].decode(encoding, "replace").encode()
    for pattern, kind in ((_HTML, "text/html"), (_XML, "text/xml"), (_JSON, "application/json")):
        if pattern.match(head):
            return kind
    return "application/octet-stream" if _BINARY.search(head) else "text/plain"


def find_charset(data: bytes, content_type: str) -> str:
    """Return the character set by byte order mark, header or declaration, else a guess.

    Binary data without a declared character set has none.
    """
    for mark, name in BOMS:
        if data.startswith(mark):
            return name
    is_xml = bool(_XML_TYPE.match(content_type) if content_type else _XML.match(data))
    match = _HEADER.search(content_type[:1024])
    named = find_encoding(match[1]) if match else ""
    if not named and not _PLAIN.match(content_type):
        named = declared_charset(data, is_xml=is_xml)
    if named or _BINARY.search(data[:_HEAD_BYTES]):
        return named
    start = data[:_UTF8_BYTES]
    if is_xml or _JSON_TYPE.match(content_type):
        return "utf-8"
    return "utf-8" if not start.isascii() and _is_utf8(start) else "windows-1252"


def _is_utf8(data: bytes) -> bool:
    """Return True if the bytes are UTF-8, except for an incomplete character at the end."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.end == len(data) and data[error.start] in _UTF8_LEADS
    return True
