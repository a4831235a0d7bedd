"""Makes hostile text comparable: folding, skeletons of look-alike letters, distance, excerpts."""

import unicodedata

from safeurl.printable import is_invisible

EXCERPT_CHARS = 200

#: Cyrillic, Greek and other letters that look like a Latin one (a part of Unicode's confusables).
#: They are escaped, so that a reader can distinguish them.
_LOOKALIKES = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u0432\u03b2\u044c",
    "c": "\u0441\u03f2",
    "d": "\u0501\u0111",
    "e": "\u0435\u0454\u03b5",
    "g": "\u0261\u0581",
    "h": "\u04bb\u0570",
    "i": "\u0456\u03b9\u0131",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "\u04cf\u0142\u01c0",
    "m": "\u043c",
    "n": "\u0578\u03b7",
    "o": "\u043e\u03bf\u0585\u00f8",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "u": "\u057d\u03c5",
    "v": "\u03bd\u0475",
    "w": "\u051d\u0461\u03c9",
    "x": "\u0445\u03c7",
    "y": "\u0443\u04af\u03b3",
}
_LATIN = str.maketrans({sign: latin for latin, signs in _LOOKALIKES.items() for sign in signs})
#: The replacements of letters in phishing host names, applied to both sides of a comparison.
_HOST_SIGNS = str.maketrans("013457i", "oleastl")


#: Letters that are shown as a blank: fillers of Hangul, and the empty pattern of Braille.
_BLANK = str.maketrans(dict.fromkeys("\u115f\u1160\u2800", " "))


def fold(text: str) -> str:
    """Return the text in compatibility form, case-folded, without invisible characters."""
    normal = unicodedata.normalize("NFKC", text).translate(_BLANK)
    seen = "".join(c for c in normal if not is_invisible(c))
    return " ".join(seen.casefold().split())


def plain_letters(folded: str) -> str:
    """Return folded text without accents, with Latin letters for look-alike ones."""
    parts = unicodedata.normalize("NFKD", folded)
    bare = "".join(c for c in parts if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", bare.translate(_LATIN))


def skeleton(label: str) -> str:
    """Return a form that is equal for host labels which look alike."""
    plain = plain_letters(fold(label)).translate(_HOST_SIGNS)
    return plain.replace("rn", "m").replace("vv", "w")


def is_one_edit(left: str, right: str) -> bool:
    """Return whether one inserted, deleted, replaced or swapped character makes them equal."""
    if left == right or abs(len(left) - len(right)) > 1:
        return False
    short, long = sorted((left, right), key=len)
    at = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) != len(long):
        return short[at:] == long[at + 1 :]
    swapped = long[at + 1 : at + 2] + long[at : at + 1] + long[at + 2 :]
    return short[at + 1 :] == long[at + 1 :] or short[at:] == swapped


def excerpt(text: str) -> str:
    """Return the start of the text on one line, without control and bidi characters."""
    start = text[: EXCERPT_CHARS * 4]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= EXCERPT_CHARS else line[: EXCERPT_CHARS - 1] + "…"


def around(text: str, start: int, end: int) -> str:
    """Return an excerpt of the text with the part from `start` to `end` near its middle."""
    margin = max(0, EXCERPT_CHARS - (end - start)) // 3
    return excerpt(text[max(0, start - margin) : end + margin])
