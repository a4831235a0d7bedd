"""Decodes text in the character sets of the Encoding Standard."""

import codecs
import functools
import re
from collections.abc import Callable, Mapping

import webencodings

BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))

#: Python codecs to use where the codec of the same name has fewer characters than the standard.
_PYTHON_NAMES = {
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
}
#: GB 18030 assigned characters to 20 more byte pairs in 2005 and in 2022.
_GB18030_2022: Mapping[int, int] = str.maketrans(
    "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795"
    "\ue796\ue7c7\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
    "\u3000\ufe10\ufe12\ufe11\ufe13\ufe14\ufe15\ufe16\ufe17\ufe18"
    "\ufe19\u1e3f\u9fb4\u9fb5\u9fb6\u9fb7\u9fb8\u9fb9\u9fba\u9fbb",
)
#: Characters that these Python codecs decode differently from the standard.
_OTHER_CHARACTERS: Mapping[str, Mapping[int, int]] = {
    "gbk": _GB18030_2022,
    "gb18030": _GB18030_2022,
    "shift_jis": dict.fromkeys(range(0xF8F0, 0xF8F4), 0xFFFD),
    "euc-jp": str.maketrans(
        "\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2"
    ),
}
_TABLES = re.compile(r"windows-|iso-8859-|koi8-|macintosh|x-mac-cyrillic|ibm866")
#: Bytes that Python's tables lack or decode differently from the standard.
_OTHER_BYTES = {
    "koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"},
    "windows-1255": {0xCA: "\u05ba"},
}
_C1 = range(0x80, 0xA0)
#: In Shift_JIS each lead byte selects two rows of 94 characters.
_LEADS = (*range(0x81, 0xA0), *range(0xE0, 0xF0))
_TRAILS = (*range(0x40, 0x7F), *range(0x80, 0xFD))
_EUC_PAIR = re.compile(rb"[\xa1-\xfe]{2}")
#: Invalid pairs that the standard replaces as a whole. In other pairs it replaces only the first
#: byte.
_HIGH = re.compile(rb"[\x81-\xfe][\x80-\xff]")
_EUC_HIGH = re.compile(rb"[\x8e\x8f\xa1-\xfe][\x80-\xff]")


def decode_text(data: bytes, charset: str) -> str:
    """Return the text; invalid bytes become U+FFFD."""
    name = charset or "utf-8"
    if name == "replacement":
        # The standard decodes these character sets to one U+FFFD, because a page in them could be
        # read in two ways.
        return "\ufffd" if data else ""
    if _TABLES.match(name):
        return data.decode("latin-1").translate(_table(name))
    python_name = _PYTHON_NAMES.get(name)
    if python_name:
        text = data.decode(python_name, f"safeurl-{python_name}")
        # Faster than `translate`, which looks every character up.
        for old, new in _OTHER_CHARACTERS.get(name, {}).items():
            text = text.replace(chr(old), chr(new))
        return text
    text, _ = _codec(name).decode(data, "replace")
    return text.removeprefix("\ufeff")


def _replace_invalid(error: UnicodeError) -> tuple[str, int]:
    """Replace invalid bytes as the standard does; an ASCII letter is never part of them."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    start = error.start
    pair = error.object[start : start + 2]
    if error.encoding == "gb18030" and pair[:1] == b"\x80":
        return "\u20ac", start + 1
    if error.encoding == "euc_jp" and _EUC_PAIR.fullmatch(pair):
        return _to_shift_jis(*pair).decode("cp932", "replace")[:1], start + 2
    is_pair = (_EUC_HIGH if error.encoding == "euc_jp" else _HIGH).fullmatch(pair)
    return "\ufffd", start + (2 if is_pair else 1)


def _to_shift_jis(lead: int, trail: int) -> bytes:
    """Return a EUC-JP pair in Shift_JIS, because Python's Shift_JIS table is complete."""
    row, cell = lead - 0xA1, trail - 0xA1
    return bytes((_LEADS[row // 2], _TRAILS[row % 2 * 94 + cell]))


#: The four-byte sequences of GB 18030 that are assigned to a character.
_GB18030_FOUR = (
    rb"(?:[\x81-\x83\x90-\xe2][0-9]|\x840|\xe3[01])[\x81-\xfe][0-9]"
    rb"|\x841[\x81-\xa4][0-9]|\xe32[\x81-\x99][0-9]|\xe32\x9a[0-5]"
)
#: The units of bytes that are decoded independently of each other. Whether a pair is valid or not,
#: the next unit starts after it, because a byte of ASCII is a unit of its own.
_UNITS: Mapping[str, Callable[[], bytes]] = {
    "gb18030": lambda: _GB18030_FOUR + rb"|[\x81-\xfe].",
    "cp932": lambda: rb"[\x81-\x9f\xe0-\xfc].",
    "euc_jp": lambda: _euc_triples() + rb"|[\x8e\x8f\xa1-\xfe].",
    "cp949": lambda: rb"[\x81-\xfe].",
    "big5hkscs": lambda: rb"[\x81-\xfe].",
}
#: Units after an invalid one that are decoded without returning to the codec: one call for each
#: invalid unit takes seconds where a page has a million of them.
_MAX_UNITS = 48
#: More than all pairs of bytes.
_MAX_REMEMBERED = 70_000


def _euc_triples() -> bytes:
    """Return a pattern of the three-byte sequences of EUC-JP that are assigned to a character."""
    high = range(0xA1, 0xFF)
    rows = {
        row: [
            cell
            for cell in high
            if "\ufffd" not in bytes((0x8F, row, cell)).decode("euc_jp", "replace")
        ]
        for row in high
    }
    patterns = (
        b"\\x%02x[%b]" % (row, b"".join(b"\\x%02x" % cell for cell in cells))
        for row, cells in rows.items()
        if cells
    )
    return rb"\x8f(?:%b)" % b"|".join(patterns)


class _Units(dict[bytes, str]):
    """The texts of units of bytes in one character set, each decoded once."""

    def __init__(self, python_name: str) -> None:
        """Compile the patterns of the units."""
        super().__init__()
        self._name = python_name
        unit = _UNITS[python_name]() + b"|."
        self._unit = re.compile(unit, re.DOTALL)
        self._several = re.compile(b"(?:%b){1,%d}+" % (unit, _MAX_UNITS), re.DOTALL)

    def __missing__(self, unit: bytes) -> str:
        """Decode a unit."""
        text = unit.decode(self._name, "safeurl-unit")
        if len(self) < _MAX_REMEMBERED:
            self[unit] = text
        return text

    def decode(self, data: bytes, start: int) -> tuple[str, int]:
        """Return the text of some units from `start` on, and where they end."""
        several = self._several.match(data, start)
        end = several.end() if several else start + 1
        return "".join(map(self.__getitem__, self._unit.findall(data, start, end))), end


_units = functools.cache(_Units)


def _decode_units(error: UnicodeError, python_name: str) -> tuple[str, int]:
    """Decode an invalid unit and some that follow it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _units(python_name).decode(error.object, error.start)


codecs.register_error("safeurl-unit", _replace_invalid)
for _name in set(_PYTHON_NAMES.values()):
    codecs.register_error(f"safeurl-{_name}", functools.partial(_decode_units, python_name=_name))


def _codec(name: str) -> codecs.CodecInfo:
    found = webencodings.lookup(name)
    if found is None:
        raise LookupError(name)
    return found.codec_info


def _table(name: str) -> dict[int, str]:
    """Return the character of each byte; unassigned C1 bytes become the C1 controls."""
    decode = _codec(name).decode
    table = {byte: decode(bytes((byte,)), "replace")[0] for byte in range(256)}
    for byte in _C1:
        if table[byte] == "\ufffd":
            table[byte] = chr(byte)
    return table | _OTHER_BYTES.get(name, {})
