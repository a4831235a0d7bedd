"""Checks HTML quickly for the depth and the attributes that make parsers extremely slow."""

import re

_MAX_DEPTH = 5_000
_MAX_ATTRIBUTES = 2_000

#: Start and end tags, except for elements that HTML closes implicitly.
_TAG = re.compile(
    r"<(/?)(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr|"
    r"p|li|dt|dd|option|optgroup|tr|td|th|thead|tbody|tfoot|colgroup|rp|rt)\b)[a-z]",
    re.IGNORECASE,
)
#: The content of a tag that is long enough for more than `_MAX_ATTRIBUTES` attributes.
_LONG_TAG = re.compile(rf"<[a-z][^<>]{{{_MAX_ATTRIBUTES * 2},}}", re.IGNORECASE)
_ATTRIBUTE_START = re.compile(r"[\s/\"'][^\s/\"'=]")


def find_exceeded_limit(text: str) -> str:
    """Return the reason why the text must not be given to the parser; empty if there is none."""
    depth = deepest = 0
    for match in _TAG.finditer(text):
        depth = max(0, depth - 1) if match[1] else depth + 1
        deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        return f"Elements are nested more than {_MAX_DEPTH} deep."
    for match in _LONG_TAG.finditer(text):
        count = sum(1 for _ in _ATTRIBUTE_START.finditer(match[0]))
        if count > _MAX_ATTRIBUTES:
            return f"A tag has more than {_MAX_ATTRIBUTES} attributes."
    return ""
