"""Tells which conditions of a script hold in frames only, where nobody's page is scanned."""

import re

from fetcher.page.script_tokens import Tokens

#: Conditions that hold inside of a frame only, as their tokens without blanks.
_PLACE = r"(?:window\.|self\.)?(?:%s)(?:\.(?:document\.)?location(?:\.href)?)?"
_OUTER, _OWN = _PLACE % "top|parent", _PLACE % "self|window|document" + "|location(?:\\.href)?"
_IN_FRAME = re.compile(
    rf"(?:{_OUTER})!==?(?:{_OWN})|(?:{_OWN})!==?(?:{_OUTER})|(?:window\.)?frameElement(?:!==?null)?"
)
_MAX_CONDITION = 32


def holds_in_frames(tokens: Tokens, opened: int) -> bool:
    """Tell whether the condition in this bracket holds in frames alone; -1 is one of no bracket."""
    end = tokens.mate[opened] if opened >= 0 else 0
    if not 0 < end - opened <= _MAX_CONDITION:
        return False
    condition = "".join(tokens.sign(at) or "\0" for at in range(opened + 1, end))
    parts = [] if "||" in condition or "?" in condition else condition.split("&&")
    return any(map(_IN_FRAME.fullmatch, parts))
