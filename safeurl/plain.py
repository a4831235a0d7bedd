"""Text made fit for a terminal or a log: hostile pages, servers and engines choose its words.

A terminal obeys control characters of C0 and C1, reorders text by direction marks, and hides
marks without width. A line break in a value would begin a line of our own output.
"""

import re
import unicodedata
from typing import Final

#: Controls, formats (direction marks, zero width), line and paragraph separators, surrogates.
_UNFIT_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
#: Characters without width that Unicode does not count among the formats.
_NO_WIDTH: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
#: What needs no closer look.
_FIT: Final = re.compile(r"[ -~]*")


def is_unfit(char: str) -> bool:
    """Tell whether neither a terminal nor a log may get this character."""
    return unicodedata.category(char) in _UNFIT_CATEGORIES or char in _NO_WIDTH


def plain(text: str) -> str:
    """Return the text with a space for each unfit character: for terminals."""
    if _FIT.fullmatch(text):
        return text
    return "".join(" " if is_unfit(char) else char for char in text)


def escaped(text: str) -> str:
    """Return the text with each unfit character escaped as in Python: for logs."""
    if _FIT.fullmatch(text):
        return text
    return "".join(
        char.encode("unicode_escape").decode() if is_unfit(char) else char for char in text
    )


def clean(text: str, limit: int = 160) -> str:
    """Return hostile text as one short line: unfit characters out, white space folded, cut."""
    folded = " ".join(plain(text).split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
