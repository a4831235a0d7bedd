"""A cheap look at HTML for what makes parsers take for ever: depth and attributes without end."""

import re

_MAX_DEPTH = 5_000
_MAX_ATTRIBUTES = 2_000

#: Opening and closing tags, except those which HTML closes by itself.
_TAG = re.compile(
    r"<(/?)(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr|"
    r"p|li|dt|dd|option|optgroup|tr|td|th|thead|tbody|tfoot|colgroup|rp|rt)\b)[a-z]",
    re.IGNORECASE,
)
#: A run inside one tag that is longer than two thousand attributes must be.
_LONG_TAG = re.compile(rf"<[a-z][^<>]{{{_MAX_ATTRIBUTES * 2},}}", re.IGNORECASE)
_ATTRIBUTE_START = re.compile(r"[\s/\"'][^\s/\"'=]")


def find_obstacle(text: str) -> str:
    """Return why the text should not be given to the parser; empty when it may be."""
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
