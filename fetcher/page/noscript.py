"""Takes the content of `noscript` out of HTML: browsers that run scripts do not parse it.

The parser at hand reads it as elements, and people with scripts never meet those. Who takes out
more or less than browsers do reads another page; where this cannot tell, it says so.
"""

import re
from dataclasses import dataclass, field

#: HTML's white space; Python's has more, which is part of names.
_SPACE = r"[\t\n\f\r ]"
#: A comment's begin, a section of a drawing, what is a comment up to the next `>`, or a tag's
#: begin up to its name.
_MARK = re.compile(
    r"<(?:(?P<comment>!--)|(?P<section>!\[CDATA\[)|(?P<bogus>[!?]|/(?![a-zA-Z]))"
    r"|(?P<slash>/?)(?P<name>[a-zA-Z][^\t\n\f\r />]*+))"
)
_COMMENT = re.compile(r"-?>|.*?--!?>", re.DOTALL)
#: What follows a tag's name: attributes, whose values may hold `>` where they are quoted.
_REST = re.compile(
    rf"(?:[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >]*+))?+)*+"
    r"([\t\n\f\r /]*+)>"
)
#: Elements that hold no elements; `plaintext` never ends.
_RAW = (
    *("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"),
    *("noscript", "plaintext"),
)
_ENDS = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII) for name in _RAW[:-1]
}
#: What changes the state of a script's text (HTML standard, 13.2.5.15 and on).
_IN_SCRIPT = re.compile(
    r"(?P<begin><!--)|(?P<end>-->)|<(?P<slash>/?)script(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII
)

_DRAWINGS = frozenset({"svg", "math"})
#: Inside of these HTML may stand again (integration points of SVG and MathML).
_POINTS = frozenset(
    {
        *("foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext", "annotation-xml"),
        *("mglyph", "malignmark"),
    }
)
#: Elements of HTML that end a drawing in which they stand.
_ENDING = frozenset(
    {
        *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em"),
        *("embed", "font", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li"),
        *("listing", "menu", "meta", "nobr", "ol", "p", "pre", "ruby", "s", "small", "span"),
        *("strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"),
    }
)
#: Elements in one another in a drawing that are kept in sight.
_MAX_DRAWN = 100
#: Inside of these some browsers leave a drawing's tags out.
_IGNORING = frozenset({"select", "frameset"})


@dataclass(slots=True)
class _Emptying:
    """One pass over a page's marks."""

    text: str
    #: Elements that are open inside of the outermost drawing, it too.
    drawn: list[str] = field(default_factory=list)
    ignoring: set[str] = field(default_factory=set)
    #: Where the pass lost sight of what browsers are inside of; -1 for nowhere.
    lost_at: int = -1

    def run(self) -> str:
        """Return the text with every `noscript` emptied."""
        kept: list[str] = []
        taken = at = 0
        while mark := _MARK.search(self.text, at):
            start, at = self._content(mark)
            name = (mark["name"] or "").lower()
            if name == "noscript" and not mark["slash"] and start < at and not self.drawn:
                kept.append(self.text[taken:start])
                taken = at
        return "".join([*kept, self.text[taken:]])

    def _content(self, mark: re.Match[str]) -> tuple[int, int]:
        """Return where what the mark opens has its content, and where markup goes on."""
        text, begin, end = self.text, mark.end(), len(self.text)
        if mark["comment"]:
            comment = _COMMENT.match(text, begin)
            return begin, comment.end() if comment else end
        if not mark["name"]:
            closing = "]]>" if mark["section"] and self.drawn else ">"
            found = text.find(closing, begin)
            return begin, end if found < 0 else found + len(closing)
        rest = _REST.match(text, begin)
        if rest is None:
            return end, end
        name = mark["name"].lower()
        if self.drawn or (name in _DRAWINGS and not mark["slash"]):
            self._draw(name, mark, is_empty=rest[1].endswith("/"))
            return rest.end(), rest.end()
        if name in _IGNORING:
            (self.ignoring.discard if mark["slash"] else self.ignoring.add)(name)
        if mark["slash"] or name not in _RAW:
            return rest.end(), rest.end()
        return rest.end(), self._raw_end(name, rest.end())

    def _raw_end(self, name: str, at: int) -> int:
        if name == "script":
            return _script_end(self.text, at)
        pattern = _ENDS.get(name)
        closing = pattern.search(self.text, at) if pattern else None
        return closing.start() if closing else len(self.text)

    def _draw(self, name: str, mark: re.Match[str], *, is_empty: bool) -> None:
        """Take in a tag in a drawing, or the one that begins it."""
        top = self.drawn[-1] if self.drawn else ""
        if mark["slash"]:
            if name not in self.drawn:
                self._lose(mark)
                return
            while self.drawn.pop() != name:
                pass
            return
        is_html = name in _ENDING or (top in _POINTS and name not in _DRAWINGS)
        if (top and is_html) or self.ignoring or len(self.drawn) >= _MAX_DRAWN:
            self._lose(mark)
        elif not is_empty:
            self.drawn.append(name)

    def _lose(self, mark: re.Match[str]) -> None:
        self.drawn.clear()
        if self.lost_at < 0:
            self.lost_at = mark.start()


def without_noscript(text: str) -> tuple[str, bool]:
    """Return the text with every `noscript` emptied, and whether that is what browsers read.

    The tags themselves stay. In doubt are texts that mix HTML into drawings before a `noscript`.
    """
    if "<noscript" not in text.lower():
        return text, True
    emptying = _Emptying(text)
    left = emptying.run()
    lost = emptying.lost_at
    return left, lost < 0 or "<noscript" not in text[lost:].lower()


def _script_end(text: str, at: int) -> int:
    """Return where a script ends: not at an end tag that its comment has a begin tag for."""
    is_comment = is_nested = False
    while mark := _IN_SCRIPT.search(text, at):
        at = mark.end()
        if mark["begin"]:
            # Its dashes may be those of the end as well.
            at -= 0 if is_comment else 2
            is_comment = True
        elif mark["end"]:
            is_comment = is_nested = False
        elif mark["slash"]:
            if not is_nested:
                return mark.start()
            is_nested = False
        else:
            is_nested = is_comment
    return len(text)
