"""Removes the content of `noscript` from HTML: browsers with scripts do not parse it.

The parser would read the content as elements that people never see. The removal must match the
browsers', because otherwise another page is read. If it may not match, the result says so.
"""

import re

from msgspec import Struct, field

#: HTML's white space. Python's `\s` includes more characters, which may be part of names.
_SPACE = r"[\t\n\f\r ]"
#: The start of a comment, of a CDATA section or of a bogus comment, or a tag up to its name.
_MARK = re.compile(
    r"<(?:(?P<comment>!--)|(?P<section>!\[CDATA\[)|(?P<bogus>[!?]|/(?![a-zA-Z]))"
    r"|(?P<slash>/?)(?P<name>[a-zA-Z][^\t\n\f\r />]*+))"
)
_COMMENT = re.compile(r"-?>|.*?--!?>", re.DOTALL)
#: The rest of a tag: attributes, whose quoted values may contain `>`.
_REST = re.compile(
    rf"(?:[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >]*+))?+)*+"
    r"([\t\n\f\r /]*+)>"
)
#: Elements that contain only text; `plaintext` never ends.
_RAW_TEXT = (
    *("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"),
    *("noscript", "plaintext"),
)
_ENDS = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII)
    for name in _RAW_TEXT[:-1]
}
#: Marks that change the state of the script data tokenizer (HTML standard, 13.2.5.15 and
#: following).
_IN_SCRIPT = re.compile(
    r"(?P<begin><!--)|(?P<end>-->)|<(?P<slash>/?)script(?=[\t\n\f\r />])", re.IGNORECASE | re.ASCII
)

_FOREIGN_ROOTS = frozenset({"svg", "math"})
#: Integration points of SVG and MathML; their content may be HTML.
_INTEGRATION_POINTS = frozenset(
    {
        *("foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext", "annotation-xml"),
        *("mglyph", "malignmark"),
    }
)
#: HTML elements that end the SVG or MathML around them.
_BREAKOUT_TAGS = frozenset(
    {
        *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em"),
        *("embed", "font", "h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li"),
        *("listing", "menu", "meta", "nobr", "ol", "p", "pre", "ruby", "s", "small", "span"),
        *("strong", "strike", "sub", "sup", "table", "tt", "u", "ul", "var"),
    }
)
#: Maximum depth of nested SVG and MathML elements that is tracked.
_MAX_FOREIGN_DEPTH = 100
#: Some browsers drop SVG and MathML tags inside of these elements.
_SELECT_LIKE = frozenset({"select", "frameset"})


class _NoscriptRemover(Struct):
    """One pass over the tags and comments of a page."""

    text: str
    #: Open elements from the outermost SVG or MathML element on.
    open_foreign: list[str] = field(default_factory=list)
    open_selects: set[str] = field(default_factory=set)
    #: The first position at which the browsers' context is uncertain; -1 if there is none.
    uncertain_at: int = -1

    def run(self) -> str:
        """Return the text without the content of `noscript` elements."""
        kept: list[str] = []
        taken = at = 0
        while mark := _MARK.search(self.text, at):
            start, at = self._content(mark)
            name = (mark["name"] or "").lower()
            if name == "noscript" and not mark["slash"] and start < at and not self.open_foreign:
                kept.append(self.text[taken:start])
                taken = at
        return "".join([*kept, self.text[taken:]])

    def _content(self, mark: re.Match[str]) -> tuple[int, int]:
        """Return the start and the end of the content after a tag or comment."""
        text, begin, end = self.text, mark.end(), len(self.text)
        if mark["comment"]:
            comment = _COMMENT.match(text, begin)
            return begin, comment.end() if comment else end
        if not mark["name"]:
            closing = "]]>" if mark["section"] and self.open_foreign else ">"
            found = text.find(closing, begin)
            return begin, end if found < 0 else found + len(closing)
        rest = _REST.match(text, begin)
        if rest is None:
            return end, end
        name = mark["name"].lower()
        if self.open_foreign or (name in _FOREIGN_ROOTS and not mark["slash"]):
            self._track_foreign(name, mark, is_empty=rest[1].endswith("/"))
            return rest.end(), rest.end()
        if name in _SELECT_LIKE:
            (self.open_selects.discard if mark["slash"] else self.open_selects.add)(name)
        if mark["slash"] or name not in _RAW_TEXT:
            return rest.end(), rest.end()
        return rest.end(), self._raw_end(name, rest.end())

    def _raw_end(self, name: str, at: int) -> int:
        if name == "script":
            return _script_end(self.text, at)
        pattern = _ENDS.get(name)
        closing = pattern.search(self.text, at) if pattern else None
        return closing.start() if closing else len(self.text)

    def _track_foreign(self, name: str, mark: re.Match[str], *, is_empty: bool) -> None:
        """Update the open SVG and MathML elements for a tag."""
        top = self.open_foreign[-1] if self.open_foreign else ""
        if mark["slash"]:
            if name not in self.open_foreign:
                self._set_uncertain(mark)
                return
            while self.open_foreign.pop() != name:
                pass
            return
        is_html = name in _BREAKOUT_TAGS or (
            top in _INTEGRATION_POINTS and name not in _FOREIGN_ROOTS
        )
        if (top and is_html) or self.open_selects or len(self.open_foreign) >= _MAX_FOREIGN_DEPTH:
            self._set_uncertain(mark)
        elif not is_empty:
            self.open_foreign.append(name)

    def _set_uncertain(self, mark: re.Match[str]) -> None:
        self.open_foreign.clear()
        if self.uncertain_at < 0:
            self.uncertain_at = mark.start()


def without_noscript(text: str) -> tuple[str, bool]:
    """Return the text without the content of `noscript`, and True if browsers do the same.

    The tags remain. The result is uncertain if HTML inside of SVG or MathML precedes a `noscript`.
    """
    if "<noscript" not in text.lower():
        return text, True
    remover = _NoscriptRemover(text)
    result = remover.run()
    uncertain_at = remover.uncertain_at
    return result, uncertain_at < 0 or "<noscript" not in text[uncertain_at:].lower()


def _script_end(text: str, at: int) -> int:
    """Return the end of a script.

    An end tag does not end it if the script's HTML comment contains a start tag for it.
    """
    is_comment = is_nested = False
    while mark := _IN_SCRIPT.search(text, at):
        at = mark.end()
        if mark["begin"]:
            # The dashes of `<!--` may also belong to `-->`.
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
