"""What bytes are: a media type by signature, a character set by mark, header or meta tag.

The signatures are those of the WHATWG MIME Sniffing Standard, and of the files that malware comes
in. The character sets are the Encoding Standard's, under Python's names.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

_HEAD_BYTES = 1445  # as the standard reads
_META_BYTES = 4096
_UTF8_BYTES = 2 * 1024 * 1024
_LETTERS = 3

#: (offset, signature, type); the first match counts.
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

#: Chromium wants no end of the tag's name, so that `<a` and `<b` stand for many more.
_HTML = re.compile(
    rb"\s*<(?:!--|!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|p)",
    re.IGNORECASE,
)
_XML = re.compile(rb"\s*<\?xml")
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\"{\[\]0-9tfn-])")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))

_CHARSET = re.compile(r"charset\s{0,8}=\s{0,8}[\"']?\s{0,8}([\w.:-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[\s/][^>]{0,512}", re.IGNORECASE)

#: Character sets and the further labels they go by. A closed list: Python's own has bombs in it.
_LABELS = (
    ("utf-8", "utf8 unicode-1-1-utf-8"),
    ("utf-16-le", "utf-16 utf-16le unicode"),
    ("utf-16-be", "utf-16be"),
    ("windows-1252", "ascii us-ascii iso-8859-1 iso8859-1 latin1 l1 cp1252 x-cp1252"),
    ("windows-1254", "iso-8859-9 latin5 cp1254"),
    ("windows-1250", "cp1250"),
    ("windows-1251", "cp1251"),
    ("windows-874", "iso-8859-11 tis-620"),
    ("iso-8859-2", "latin2"),
    ("koi8-r", "koi8 koi"),
    ("koi8-u", "koi8-ru"),
    ("gb18030", "gbk gb2312 gb_2312-80 x-gbk chinese"),
    ("big5", "big5-hkscs x-x-big5"),
    ("shift_jis", "sjis shift-jis x-sjis windows-31j ms_kanji"),
    ("euc-jp", "x-euc-jp"),
    ("euc-kr", "ks_c_5601-1987 windows-949 korean"),
    ("iso-2022-jp", ""),
    *((f"iso-8859-{part}", "") for part in (3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *((f"windows-{page}", "") for page in (1253, 1255, 1256, 1257, 1258)),
)
_CHARSETS: Mapping[str, str] = MappingProxyType(
    {label: name for name, labels in _LABELS for label in (name, *labels.split())}
)
#: Python's decoders where they have another name or should know more.
_PYTHON_NAMES = {
    "windows-874": "cp874",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
}


def sniff_type(data: bytes) -> str:
    """Return the media type that the first bytes show; nothing for no bytes."""
    head = data[:_HEAD_BYTES]
    if not head:
        return ""
    is_binary = _BINARY.search(head) is not None
    for offset, signature, kind in _SIGNATURES:
        # Two or three letters may as well begin a text.
        if head.startswith(signature, offset) and (len(signature) > _LETTERS or is_binary):
            return kind
    bom, encoding = next(((mark, name) for mark, name in _BOMS if head.startswith(mark)), (b"", ""))
    if encoding:
        head = head[len(bom) :].decode(encoding, "replace").encode()
    for pattern, kind in ((_HTML, "text/html"), (_XML, "text/xml"), (_JSON, "application/json")):
        if pattern.match(head):
            return kind
    return "application/octet-stream" if _BINARY.search(head) else "text/plain"


def find_charset(data: bytes, content_type: str) -> str:
    """Return the character set by mark, header or meta tag, or a guess; none for binary data."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    match = _CHARSET.search(content_type[:1024])
    if match and match[1].lower() in _CHARSETS:
        return _CHARSETS[match[1].lower()]
    named = _meta_charset(data)
    if named or _BINARY.search(data[:_HEAD_BYTES]):
        return named
    return "utf-8" if _is_utf8(data[:_UTF8_BYTES]) else "windows-1252"


def decode_text(data: bytes, charset: str) -> str:
    """Return the text; bytes that mean nothing become U+FFFD."""
    text = data.decode(_PYTHON_NAMES.get(charset, charset or "utf-8"), "replace")
    return text.removeprefix("\ufeff")


def _meta_charset(data: bytes) -> str:
    for tag in _META.findall(data[:_META_BYTES]):
        match = _CHARSET.search(tag.decode("latin-1"))
        if match:
            name = _CHARSETS.get(match[1].lower(), "")
            # Who can read the tag is not reading UTF-16 (HTML standard).
            return "utf-8" if name.startswith("utf-16") else name
    return ""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # A character cut at the end is no fault.
        return error.reason == "unexpected end of data"
    return True
