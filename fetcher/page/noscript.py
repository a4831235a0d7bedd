"""Takes the content of `noscript` out of HTML: browsers that run scripts do not parse it.

The parser at hand reads it as elements, and people with scripts never meet those.
"""

import re

#: A comment's begin, or a tag's begin up to its name.
_MARK = re.compile(r"<(?:(!--)|(/?)([a-zA-Z][^\s/>]*+))", re.ASCII)
_COMMENT = re.compile(r"-?>|.*?--!?>", re.DOTALL)
#: What follows a tag's name: attributes, whose values may hold `>` where they are quoted.
_REST = re.compile(
    r"(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))?+)*+"
    r"[\s/]*+>",
    re.ASCII,
)
#: Elements that hold no elements; `plaintext` never ends.
_RAW = (
    *("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"),
    *("noscript", "plaintext"),
)
_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE | re.ASCII) for name in _RAW[:-1]}


def without_noscript(text: str) -> str:
    """Return the text with every `noscript` emptied; the tags themselves stay."""
    if "<noscript" not in text.lower():
        return text
    kept: list[str] = []
    taken = at = 0
    while mark := _MARK.search(text, at):
        start, at = _content(text, mark)
        if (mark[3] or "").lower() == "noscript" and not mark[2] and start < at:
            kept.append(text[taken:start])
            taken = at
    return "".join([*kept, text[taken:]])


def _content(text: str, mark: re.Match[str]) -> tuple[int, int]:
    """Return where what the mark opens has its content, and where markup goes on."""
    end = len(text)
    if mark[1]:
        comment = _COMMENT.match(text, mark.end())
        return mark.end(), comment.end() if comment else end
    rest = _REST.match(text, mark.end())
    if rest is None:
        return end, end
    name = mark[3].lower()
    if mark[2] or name not in _RAW:
        return rest.end(), rest.end()
    pattern = _ENDS.get(name)
    closing = pattern.search(text, rest.end()) if pattern else None
    return rest.end(), closing.start() if closing else end
