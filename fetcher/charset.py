"""Text of bytes in the Encoding Standard's character sets."""

import codecs
import re

import webencodings

BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))

#: Python's decoders where those of the same name know less than the standard's.
_PYTHON_NAMES = {
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
}
_TABLES = re.compile(r"windows-|iso-8859-|koi8-|macintosh|x-mac-cyrillic|ibm866")
#: Bytes of the standard's tables that Python's do not have, or read as something else.
_OTHER_BYTES = {
    "koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"},
    "windows-1255": {0xCA: "\u05ba"},
}
_C1 = range(0x80, 0xA0)


def decode_text(data: bytes, charset: str) -> str:
    """Return the text; bytes that mean nothing become U+FFFD."""
    name = charset or "utf-8"
    if name == "replacement":
        # Sets with which a page could be read as two: the standard shows none of it.
        return "\ufffd" if data else ""
    if _TABLES.match(name):
        return data.decode("latin-1").translate(_table(name))
    python_name = _PYTHON_NAMES.get(name)
    if python_name:
        return data.decode(python_name, "replace")
    text, _ = _codec(name).decode(data, "replace")
    return text.removeprefix("\ufeff")


def _codec(name: str) -> codecs.CodecInfo:
    found = webencodings.lookup(name)
    if found is None:
        raise LookupError(name)
    return found.codec_info


def _table(name: str) -> dict[int, str]:
    """Return what each byte means; of those without a meaning, C1 controls are themselves."""
    decode = _codec(name).decode
    table = {byte: decode(bytes((byte,)), "replace")[0] for byte in range(256)}
    for byte in _C1:
        if table[byte] == "\ufffd":
            table[byte] = chr(byte)
    return table | _OTHER_BYTES.get(name, {})
