"""Makes foreign text safe for a terminal or a log: hostile pages and servers choose its content.

A terminal obeys control characters of C0 and C1, reorders text by direction marks, and hides
marks without width. A line break in a value would begin a line of our own output.
"""

import re
import unicodedata
from typing import Final

#: Controls, formats (direction marks, zero width), line and paragraph separators, surrogates.
_UNFIT_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
#: Characters that programs draw as nothing or as a blank, beyond the formats of Unicode:
#: its property Default_Ignorable_Code_Point, without the formats.
_IGNORABLE: Final = (
    *(range(0x34F, 0x350), range(0x115F, 0x1161), range(0x17B4, 0x17B6), range(0x180B, 0x1810)),
    *(range(0x2065, 0x2066), range(0x3164, 0x3165), range(0xFE00, 0xFE10), range(0xFFA0, 0xFFA1)),
    *(range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000)),
)
_NO_WIDTH: Final = frozenset(chr(code) for codes in _IGNORABLE for code in codes)
#: Text without any character that needs a check.
_FIT: Final = re.compile(r"[ -~]*")


def is_unfit(char: str) -> bool:
    """Return whether this character is unsafe for a terminal and a log."""
    return unicodedata.category(char) in _UNFIT_CATEGORIES or char in _NO_WIDTH


def is_invisible(char: str) -> bool:
    """Return whether the character is invisible for readers, but splits a word for programs."""
    return unicodedata.category(char) == "Cf" or char in _NO_WIDTH


def plain(text: str) -> str:
    """Return the text with a space for each unsafe character: for terminals."""
    if _FIT.fullmatch(text):
        return text
    return "".join(" " if is_unfit(char) else char for char in text)


def escaped(text: str) -> str:
    """Return the text with each unsafe character escaped as in Python: for logs."""
    if _FIT.fullmatch(text):
        return text
    return "".join(
        char.encode("unicode_escape").decode() if is_unfit(char) else char for char in text
    )


def clean(text: str, limit: int = 160) -> str:
    """Return hostile text as one short line: unsafe characters removed, white space folded."""
    folded = " ".join(plain(text).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def counted(count: int, one: str, many: str = "") -> str:
    """Return the count with its noun, and what follows that has a plural too.

    Without `many` the plural is `one` with an s.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
