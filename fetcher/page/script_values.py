"""Works out what expressions of a script are, where only literals and a few functions make them."""

import re
from dataclasses import dataclass, field

from fetcher.page.script_functions import (
    FUNCTIONS,
    MAX_ITEMS,
    MAX_TEXT,
    Begun,
    Path,
    Value,
    from_codes,
    item,
    joined,
    list_method,
    number,
    own_address,
    text_method,
)
from fetcher.page.script_tokens import Kind, Tokens, unescape

#: Terms that are read on one page; what comes after them stays unknown.
_MAX_STEPS = 80_000
_MAX_DEPTH = 24
#: Characters or items of a value that cost as much as a term does.
_UNITS_PER_STEP = 64
#: Names through which a script reaches its own window and document.
BASES = frozenset({"window", "document", "self", "top", "parent", "globalThis"})
_PREFIXES = frozenset({"!", "+", "-", "new", "await", "void", "typeof", "~", "async"})
_OPERATORS = frozenset(
    {
        *("+", "||", "??", "&&", "*", "/", "%", "-", "==", "===", "!=", "!==", "<", ">", "&", "|"),
        *("^", "in", "instanceof"),
    }
)
#: Functions that find an element by its id.
_FINDERS = frozenset({"getElementById", "querySelector"})
_ENDS = frozenset({")", "]", "}", ",", ";", ":"})
_HOLE = re.compile(r"\$\{\s*+([\w$.]*+)[^}]*+\}?+")


@dataclass(slots=True)
class Budget:
    """Terms that may still be read, for all scripts of a page."""

    steps: int = _MAX_STEPS


@dataclass(slots=True)
class Values:
    """Evaluates expressions of one script."""

    tokens: Tokens
    page_url: str
    budget: Budget
    #: Variables and properties by their dotted name, as last assigned.
    known: dict[str, Value] = field(default_factory=dict)
    #: What they are at the end of the script: functions run later than they are written.
    finally_known: dict[str, Value] = field(default_factory=dict)

    def expression(self, at: int, depth: int = 0) -> tuple[Value, int]:
        """Return the value that begins at the token, and where it ends."""
        if depth > _MAX_DEPTH:
            return None, len(self.tokens)
        value, at = self._term(at, depth)
        value = self.resolved(value)
        while True:
            sign = self.tokens.sign(at)
            if sign == "?":
                first, at = self.expression(at + 1, depth + 1)
                second: Value = None
                if self.tokens.sign(at) == ":":
                    second, at = self.expression(at + 1, depth + 1)
                return (first if first is not None else second), at
            if sign not in _OPERATORS:
                return value, at
            right, at = self._term(at + 1, depth)
            value = self._paid(joined(sign, value, self.resolved(right)))

    def arguments(self, opened: int, depth: int = 0) -> list[Value]:
        """Return the values between a bracket and its mate."""
        found: list[Value] = []
        end = self.tokens.mate[opened]
        at = opened + 1
        while at < end and len(found) < MAX_ITEMS and self.budget.steps > 0:
            value, after = self.expression(at, depth + 1)
            found.append(value)
            at = self._comma(after, end) + 1
        return found

    def _comma(self, at: int, end: int) -> int:
        """Return the next comma on this level; `end` where there is none."""
        while at < end and self.tokens.sign(at) != ",":
            self.budget.steps -= 1
            if self.budget.steps < 0:
                return end
            mate = self.tokens.mate[at]
            at = mate + 1 if mate > at else at + 1
        return at

    def assign(self, name: str, value: Value, *, more: bool) -> None:
        """Note an assignment; `more` for `+=`."""
        self.known[name] = joined("+", self.known.get(name), value) if more else value

    def resolved(self, value: Value) -> Value:
        """Return what a name stands for."""
        if not isinstance(value, Path):
            return value
        names = value.names
        if names[0].startswith("#"):
            return value
        while len(names) > 1 and names[0] in BASES:
            names = names[1:]
        name = ".".join(names)
        found = self.known.get(name)
        found = found if found is not None else self.finally_known.get(name)
        if found is None and len(names) > 1:
            found = self.finally_known.get(f"*.{names[-1]}")
        return found if found is not None else own_address(names, self.page_url)

    def _paid(self, value: Value) -> Value:
        """Take what the value's size costs off the budget."""
        if isinstance(value, (str, list)):
            self.budget.steps -= len(value) // _UNITS_PER_STEP
        return value if self.budget.steps > 0 else None

    def _term(self, at: int, depth: int) -> tuple[Value, int]:
        self.budget.steps -= 1
        if self.budget.steps < 0 or depth > _MAX_DEPTH or at >= len(self.tokens):
            return None, len(self.tokens)
        kind, text = self.tokens.kinds[at], self.tokens.texts[at]
        if kind is Kind.NAME or kind is Kind.SIGN:
            return (
                self._named(at, text, depth) if kind is Kind.NAME else self._sign(at, text, depth)
            )
        value: Value = None
        if kind is Kind.STRING:
            value = text
        elif kind is Kind.NUMBER:
            value = number(text)
        elif kind is Kind.TEMPLATE:
            value = self._template(text)
        return self._members(value, at + 1, depth)

    def _named(self, at: int, text: str, depth: int) -> tuple[Value, int]:
        if text in _PREFIXES:
            value, at = self._term(at + 1, depth + 1)
            return (value if text in {"new", "await"} else None), at
        if text == "function":
            return None, self._after_function(at)
        if self.tokens.sign(at + 1) in {"=", "+="}:
            return self.expression(at + 2, depth + 1)
        return self._members(Path((text,)), at + 1, depth)

    def _sign(self, at: int, text: str, depth: int) -> tuple[Value, int]:
        end = self.tokens.mate[at] + 1
        if text in {"(", "["}:
            inside = self.arguments(at, depth)
            value: Value = inside if text == "[" else (inside[-1] if inside else None)
            return self._members(value, end, depth)
        if text in _PREFIXES:
            value, at = self._term(at + 1, depth + 1)
            return (value if text == "+" else None), at
        if text == "{":
            return None, end
        return None, at if text in _ENDS else at + 1

    def _after_function(self, at: int) -> int:
        while at < len(self.tokens) and self.tokens.sign(at) != "{":
            self.budget.steps -= 1
            if self.budget.steps < 0:
                return len(self.tokens)
            at = self.tokens.mate[at] + 1 if self.tokens.mate[at] > at else at + 1
        return self.tokens.mate[at] + 1 if at < len(self.tokens) else at

    def _members(self, value: Value, at: int, depth: int) -> tuple[Value, int]:
        """Take in `.name`, `[index]` and `(arguments)` after a term."""
        tokens = self.tokens
        while at < len(tokens) and self.budget.steps > 0:
            sign = tokens.sign(at)
            if sign == "." and tokens.is_name(at + 1):
                name = tokens.texts[at + 1]
                if tokens.sign(at + 2) == "(":
                    pieces = self.arguments(at + 2, depth + 1)
                    value = self._called(value, name, pieces, at + 3)
                    at = tokens.mate[at + 2] + 1
                else:
                    owner = value.names if isinstance(value, Path) else ("",)
                    value, at = Path((*owner[-8:], name)), at + 2
            elif sign == "[" and _indexes(tokens, at):
                index = next(iter(self.arguments(at, depth + 1)), None)
                value, at = item(self.resolved(value), index), tokens.mate[at] + 1
            elif sign == "(":
                pieces = self.arguments(at, depth + 1)
                name = value.names[-1] if isinstance(value, Path) else ""
                value, at = self._called(None, name, pieces, at + 1), tokens.mate[at] + 1
            else:
                break
        return value, at

    def _template(self, text: str) -> Value:
        def part(match: re.Match[str]) -> str:
            value = self.resolved(Path(tuple(match[1].split("."))))
            return value if isinstance(value, str) else "\0"

        made, hole, _ = _HOLE.sub(part, text[:MAX_TEXT]).partition("\0")
        return Begun(unescape(made)) if hole else unescape(made)

    def _called(self, owner: Value, name: str, pieces: list[Value], first: int) -> Value:
        """Return what a call gives, for functions that make texts of texts."""
        texts = [piece for piece in pieces if isinstance(piece, str)]
        if name in _FINDERS and texts:
            return Path((f"#{texts[0].lstrip('#')}",))
        if name == "fromCharCode":
            return from_codes(pieces)
        if name in FUNCTIONS and texts and isinstance(pieces[0], str):
            return FUNCTIONS[name](texts[0])
        subject = self._paid(self.resolved(owner))
        pattern = self.tokens.texts[first] if self._is_regex(first) else ""
        if isinstance(subject, str):
            return self._paid(text_method(subject, name, pieces, pattern))
        if isinstance(subject, list):
            return self._paid(list_method(subject, name, texts))
        return None

    def _is_regex(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens.kinds[at] is Kind.REGEX


def _indexes(tokens: Tokens, at: int) -> bool:
    """Tell whether a bracket indexes what stands before it."""
    return (at > 0 and tokens.kinds[at - 1] is not Kind.SIGN) or tokens.sign(at - 1) in {")", "]"}
