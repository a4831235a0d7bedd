"""Splits JavaScript into tokens, as precisely as the search for navigations needs."""

import re
from enum import Enum, auto

from msgspec import Struct, field


class Kind(Enum):
    """The kind of a token."""

    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    REGEX = auto()
    PUNCTUATOR = auto()


#: The characters of names are written as what they are not: a class of all other characters takes
#: 4 ms to compile. Possessive quantifiers, and strings end at the end of a line: the time is linear
#: in the length.
_TOKEN = re.compile(
    r"(?P<skip>[\s\ufeff]++|\?\.(?=[\s]*+[(\[])|//[^\n\r\u2028\u2029]*+|/\*.*?(?:\*/|\Z)|<!--[^\n\r\u2028\u2029]*+)"
    r"|(?P<name>(?:[^\x00-\"%-@\[-^`{-\x7f]|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\})"
    r"(?:[^\x00-#%-/:-@\[-^`{-\x7f]|\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\})*+)"
    r"|(?P<number>0[xX][0-9a-fA-F]++|(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+)"
    r"|(?P<string>\"(?:[^\"\\\n\r]|\\(?:\r\n|.))*+(?:\"|(?=[\n\r])|\Z)"
    r"|'(?:[^'\\\n\r]|\\(?:\r\n|.))*+(?:'|(?=[\n\r])|\Z))"
    r"|(?P<sign>=>|\.\.\.|[=!]==?|&&|\|\||\?\?|\?\.(?![0-9])|\+\+|--|[-+]=|.)",
    re.DOTALL,
)
#: A part of a template: up to its end, or up to the expression in the next hole.
_PART = re.compile(r"((?:[^`\\$]++|\\.|\$(?!\{)|\\\Z)*+)(`|\$\{|\Z)", re.DOTALL)
_REGEX = re.compile(
    r"/(?![*/])(?:[^\\/\[\r\n]|\\.|\[(?:[^\]\\\r\n]|\\.){0,500}+\]){1,1000}+/[a-z]{0,8}+"
)
#: Maximum length of a regular expression; and the tokens that a search without a result counts.
_MAX_REGEX = 8192
_FAILED_REGEX = 16
_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{1,3})|(\r\n|.))",
    re.DOTALL,
)
_MAX_CODE_POINT = 0x10FFFF
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_CONTINUED = frozenset({"\n", "\r", "\r\n"})
#: Keywords before an expression; after them `/` starts a regular expression.
_BEFORE_VALUE = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do"}
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]{0,99}")
#: Longer strings are not concatenated here, because that would take quadratic time.
_MAX_FOLDED = 4096
_PAIRS = {")": "(", "]": "[", "}": "{"}
_BRACES = {"{": 1, "}": -1}
_OPENING = frozenset(_PAIRS.values())
#: Keywords before a condition in parentheses; after it a statement starts, or a regular expression.
_BEFORE_CONDITION = frozenset({"if", "while", "for", "with"})


class Tokens(Struct):
    """Tokens as parallel lists, with the brackets around them."""

    kinds: list[Kind] = field(default_factory=list)
    #: Names, punctuators and the decoded text of strings.
    texts: list[str] = field(default_factory=list)
    #: The texts of names and punctuators; empty for other tokens.
    symbols: list[str] = field(default_factory=list)
    #: The matching bracket; -1 for other tokens.
    matching: list[int] = field(default_factory=list)
    #: The innermost open bracket around a token; -1 if there is none.
    enclosing: list[int] = field(default_factory=list)
    #: For each open parenthesis, whether it contains a condition.
    _conditions: list[bool] = field(default_factory=list)
    #: True if the last closed parenthesis contains a condition.
    _is_after_condition: bool = False

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.texts)

    def symbol(self, index: int) -> str:
        """Return the text of a punctuator or name; empty for other tokens and beyond the ends."""
        return self.symbols[index] if 0 <= index < len(self.symbols) else ""

    def is_name(self, index: int) -> bool:
        """Return True if the token is a name."""
        return 0 <= index < len(self.texts) and self.kinds[index] is Kind.NAME

    def string(self, index: int) -> str | None:
        """Return the text of a string token; None for other tokens."""
        is_string = 0 <= index < len(self.texts) and self.kinds[index] is Kind.STRING
        return self.texts[index] if is_string else None

    def append(self, kind: Kind, text: str) -> None:
        """Add a token; `a["b"]` becomes `a.b`, and two strings with `+` between them become one."""
        size = len(self.texts)
        if kind is Kind.STRING and self.symbol(size - 1) == "+":
            before = self.string(size - 2)
            if before is not None and len(before) < _MAX_FOLDED:
                self._drop(2)
                text = before + text
        name = self.string(size - 1) if text == "]" and kind is Kind.PUNCTUATOR else None
        if name is not None and _IDENTIFIER.fullmatch(name) and self.symbol(size - 2) == "[":
            owner = self.symbol(size - 3)
            if self.is_name(size - 3) or owner in {")", "]"}:
                self._drop(2)
                self._put(Kind.PUNCTUATOR, ".")
                kind, text = Kind.NAME, name
        self._put(kind, text)

    def put_chain(self, names: tuple[str, ...]) -> None:
        """Add names with dots between them."""
        for index, name in enumerate(names):
            if index:
                self._put(Kind.PUNCTUATOR, ".")
            self._put(Kind.NAME, name)

    def extend(self, other: "Tokens") -> None:
        """Add the tokens of another script; brackets of different scripts never match."""
        size = len(self)
        self.kinds += [*other.kinds, Kind.PUNCTUATOR]
        self.texts += [*other.texts, ";"]
        self.symbols += [*other.symbols, ";"]
        self.matching += [*(-1 if at < 0 else at + size for at in other.matching), -1]
        self.enclosing += [*(-1 if at < 0 else at + size for at in other.enclosing), -1]

    @property
    def may_begin_expression(self) -> bool:
        """True if an expression may start after the last token."""
        if not len(self):
            return True
        kind, text = self.kinds[-1], self.texts[-1]
        if kind is Kind.NAME:
            return text in _BEFORE_VALUE
        if kind is Kind.PUNCTUATOR and text == ")":
            return self._is_after_condition
        # Blocks end with `}` far more often than objects that are divided.
        if kind is Kind.PUNCTUATOR and text in {"++", "--"}:
            # After a name or a bracket, these belong to what is before them.
            return not (self.is_name(len(self) - 2) or self.symbol(len(self) - 2) in {")", "]"})
        return kind is Kind.PUNCTUATOR and text != "]"

    def _put(self, kind: Kind, text: str) -> None:
        if kind is Kind.PUNCTUATOR and text == "(":
            self._conditions.append(self.symbol(len(self) - 1) in _BEFORE_CONDITION)
        elif kind is Kind.PUNCTUATOR and text == ")":
            self._is_after_condition = bool(self._conditions) and self._conditions.pop()
        self.kinds.append(kind)
        self.texts.append(text)
        self.symbols.append(text if kind is Kind.PUNCTUATOR or kind is Kind.NAME else "")

    def _drop(self, count: int) -> None:
        del self.kinds[-count:], self.texts[-count:], self.symbols[-count:]

    def match_brackets(self) -> None:
        """Find the matching brackets."""
        self.matching = [-1] * len(self)
        self.enclosing = [-1] * len(self)
        stack: list[int] = []
        for index, symbol in enumerate(self.symbols):
            if symbol in _PAIRS and stack and self.symbols[stack[-1]] == _PAIRS[symbol]:
                opened = stack.pop()
                self.matching[opened], self.matching[index] = index, opened
            self.enclosing[index] = stack[-1] if stack else -1
            if symbol in _OPENING:
                stack.append(index)
        for opened in stack:
            self.matching[opened] = len(self)


def tokenize(code: str, limit: int) -> tuple[Tokens, int]:
    """Return up to `limit` tokens of the code, and the number of characters that were read.

    A template becomes a sum in parentheses; after a function's name these are the call.
    """
    found = Tokens()
    #: For each open hole of a template, the number of open braces in it.
    holes: list[int] = []
    at = 0
    while at < len(code) and len(found) < limit:
        char = code[at]
        match = None
        if char == "/" and found.may_begin_expression:
            match = _REGEX.match(code, at, at + _MAX_REGEX)
            limit -= 0 if match else _FAILED_REGEX
        if match is not None:
            found.append(Kind.REGEX, match[0])
            at = match.end()
        elif char == "`":
            at = _add_template(found, code, at, holes)
        elif char == "}" and holes and not holes[-1]:
            holes.pop()
            found.append(Kind.PUNCTUATOR, ")")
            at = _add_part(found, code, at + 1, holes)
        else:
            match = _TOKEN.match(code, at)
            if match is None:
                break
            if holes and char in _BRACES:
                holes[-1] += _BRACES[char]
            _add(found, match.lastgroup or "", match[0])
            at = match.end()
    found.match_brackets()
    return found, at


def _add_template(found: Tokens, code: str, at: int, holes: list[int]) -> int:
    """Add the template that starts here, or its part before the first hole; return the end."""
    part = _PART.match(code, at + 1)
    is_plain = part is not None and part[2] != "${" and found.may_begin_expression
    if not is_plain:
        found.append(Kind.PUNCTUATOR, "(")
    found.append(Kind.STRING, unescape(part[1]) if part else "")
    return _end_part(found, part, holes, is_plain=is_plain) if part else len(code)


def _add_part(found: Tokens, code: str, at: int, holes: list[int]) -> int:
    """Add the part of a template after a hole; return its end."""
    part = _PART.match(code, at)
    if part is None:
        return len(code)
    if part[1]:
        found.append(Kind.PUNCTUATOR, "+")
        found.append(Kind.STRING, unescape(part[1]))
    return _end_part(found, part, holes, is_plain=False)


def _end_part(found: Tokens, part: re.Match[str], holes: list[int], *, is_plain: bool) -> int:
    if part[2] == "${":
        holes.append(0)
        found.append(Kind.PUNCTUATOR, "+")
        found.append(Kind.PUNCTUATOR, "(")
    elif not is_plain:
        found.append(Kind.PUNCTUATOR, ")")
    return part.end()


def _add(found: Tokens, group: str, text: str) -> None:
    match group:
        case "name":
            found.append(Kind.NAME, unescape(text) if "\\" in text else text)
        case "number":
            found.append(Kind.NUMBER, text)
        case "string":
            found.append(Kind.STRING, unescape(text[1:].removesuffix(text[0])))
        case "sign":
            found.append(Kind.PUNCTUATOR, "." if text == "?." else text)
        case _:
            pass


def unescape(text: str) -> str:
    """Return the text of a string literal without its escapes."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits or match[4]:
        number = int(digits, 16) if digits else int(match[4], 8)
        return chr(number) if number <= _MAX_CODE_POINT else "\ufffd"
    return "" if match[5] in _CONTINUED else _PLAIN.get(match[5], match[5])
