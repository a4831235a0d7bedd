"""Finds conditions that are true only in frames, or only for pages of another protocol."""

import re

from fetcher.page.script.tokens import Tokens

#: Conditions that are true only inside of a frame, as tokens without spaces.
_PLACE = r"(?:window\.|self\.)?(?:%s)(?:\.(?:document\.)?location(?:\.href)?)?"
_OUTER, _OWN = _PLACE % "top|parent", _PLACE % "self|window|document" + "|location(?:\\.href)?"
_IN_FRAME = re.compile(
    rf"(?:{_OUTER})!==?(?:{_OWN})|(?:{_OWN})!==?(?:{_OUTER})|(?:window\.)?frameElement(?:!==?null)?"
)
_PROTOCOL = re.compile(
    r'(?:(?:window|document)\.)?location\.protocol(?P<sign>[!=]==?)"(?P<text>https?:)"'
)
_MAX_CONDITION = 32


def is_true_only_in_frames(tokens: Tokens, opened: int) -> bool:
    """Return True if the condition in this parenthesis (-1: none) is true only in frames."""
    return any(map(_IN_FRAME.fullmatch, _parts(tokens, opened)))


def is_other_protocol(tokens: Tokens, opened: int, page_url: str) -> bool:
    """Return True if the condition requires another protocol than the page's.

    Only top-level conditions count: a function may define these names for itself.
    """
    if opened < 0 or tokens.enclosing[opened] >= 0 or tokens.symbol(opened - 2) == ")":
        return False
    own = f"{page_url.partition(':')[0]}:"
    for part in _parts(tokens, opened):
        found = _PROTOCOL.fullmatch(part)
        if found and (found["text"] == own) == found["sign"].startswith("!"):
            return True
    return False


def _parts(tokens: Tokens, opened: int) -> list[str]:
    """Return the operands of `&&`, without spaces; of strings only protocols are kept."""
    end = tokens.matching[opened] if opened >= 0 else 0
    if not 0 < end - opened <= _MAX_CONDITION:
        return []
    condition = "".join(_written(tokens, at) for at in range(opened + 1, end))
    return [] if "||" in condition or "?" in condition else condition.split("&&")


def _written(tokens: Tokens, at: int) -> str:
    text = tokens.string(at)
    return f'"{text}"' if text in {"http:", "https:"} else tokens.symbol(at) or "\0"
