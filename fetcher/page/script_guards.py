"""Tells which conditions of a script hold only in frames, or for pages of another protocol."""

import re

from fetcher.page.script_tokens import Tokens

#: Conditions that hold inside of a frame only, as their tokens without blanks.
_PLACE = r"(?:window\.|self\.)?(?:%s)(?:\.(?:document\.)?location(?:\.href)?)?"
_OUTER, _OWN = _PLACE % "top|parent", _PLACE % "self|window|document" + "|location(?:\\.href)?"
_IN_FRAME = re.compile(
    rf"(?:{_OUTER})!==?(?:{_OWN})|(?:{_OWN})!==?(?:{_OUTER})|(?:window\.)?frameElement(?:!==?null)?"
)
_PROTOCOL = re.compile(
    r'(?:(?:window|document)\.)?location\.protocol(?P<sign>[!=]==?)"(?P<text>https?:)"'
)
_MAX_CONDITION = 32


def holds_in_frames(tokens: Tokens, opened: int) -> bool:
    """Tell whether the condition in this bracket holds in frames alone; -1 is one of no bracket."""
    return any(map(_IN_FRAME.fullmatch, _parts(tokens, opened)))


def is_other_protocol(tokens: Tokens, opened: int, page_url: str) -> bool:
    """Tell whether the condition asks for another protocol than the page was opened by.

    Inside of other brackets a script may have given these names to something of its own.
    """
    if opened < 0 or tokens.around[opened] >= 0 or tokens.sign(opened - 2) == ")":
        return False
    own = f"{page_url.partition(':')[0]}:"
    for part in _parts(tokens, opened):
        found = _PROTOCOL.fullmatch(part)
        if found and (found["text"] == own) == found["sign"].startswith("!"):
            return True
    return False


def _parts(tokens: Tokens, opened: int) -> list[str]:
    """Return all that must hold together, without blanks; of texts only protocols are kept."""
    end = tokens.mate[opened] if opened >= 0 else 0
    if not 0 < end - opened <= _MAX_CONDITION:
        return []
    condition = "".join(_written(tokens, at) for at in range(opened + 1, end))
    return [] if "||" in condition or "?" in condition else condition.split("&&")


def _written(tokens: Tokens, at: int) -> str:
    text = tokens.string(at)
    return f'"{text}"' if text in {"http:", "https:"} else tokens.sign(at) or "\0"
