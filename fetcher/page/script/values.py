"""Evaluates expressions of a script that consist of literals and of a few known functions."""

from msgspec import Struct, field

from fetcher.page.script.events import SentEvents
from fetcher.page.script.functions import (
    FUNCTIONS,
    MAX_ITEMS,
    MAX_TEXT,
    Path,
    Prefix,
    Value,
    apply_operator,
    blob_text,
    element_path,
    from_codes,
    item,
    list_method,
    number,
    page_url_part,
    text_method,
)
from fetcher.page.script.scopes import Scopes
from fetcher.page.script.tokens import Kind, Tokens

#: Maximum number of terms that are evaluated on one page; later values are unknown.
_MAX_STEPS = 320_000
#: Maximum number of tokens of all scripts of a page; two of 1,257 ordinary pages have more.
MAX_TOKENS = 160_000
_MAX_DEPTH = 24
#: Maximum number of calls of the script's functions within each other, and of parameters.
_MAX_CALLS = 4
_MAX_PARAMETERS = 16
#: Characters of a text, or items of a list, that count as one step.
_CHARACTERS_PER_STEP = 64
_ITEMS_PER_STEP = 4
#: Names by which a script refers to its own window and document.
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
#: Elements that a script makes and whose texts are read; the value of one is `#<tag>`.
_MADE = frozenset({"script", "meta"})
#: Properties that change the text of a URL object.
_URL_PARTS = frozenset({"href", "protocol", "host", "hostname", "port", "pathname", "search"})
_CODES = frozenset({"fromCharCode", "fromCodePoint"})
_ELEMENTS = _FINDERS | {"createElement"}
_ENDS = frozenset({")", "]", "}", ",", ";", ":"})


class Budget(Struct):
    """The numbers of steps and tokens that are left for all scripts of a page."""

    steps: int = _MAX_STEPS
    #: The number of tokens that are left.
    tokens: int = MAX_TOKENS
    #: True if a text was too long to be kept whole.
    is_cut: bool = False


class Callable:
    """A function of the script: its parameters, and the token where its value begins."""

    __slots__ = ("at", "names")

    def __init__(self, names: list[str], at: int) -> None:
        """Create it."""
        self.names, self.at = names[:_MAX_PARAMETERS], at


class Evaluator(Struct):
    """Evaluates expressions of one script."""

    tokens: Tokens
    page_url: str
    budget: Budget
    #: Variables and properties by dotted name, with the last assigned value.
    known: dict[str, Value] = field(default_factory=dict)
    #: Their values at the end of the script, because functions run after it.
    final_values: dict[str, Value] = field(default_factory=dict)
    #: The events that the script sends.
    sent: SentEvents = field(default_factory=SentEvents)
    #: Functions that return a value, by name and by the token after them.
    _functions: dict[str | int, Callable] = field(default_factory=dict)
    #: Number of calls of functions of the script that are being evaluated.
    _calls: int = 0

    def set_functions(self, scopes: Scopes) -> None:
        """Record the functions of the script that only return a value.

        With other statements before `return`, the value may depend on them.
        """
        for at, symbol in enumerate(self.tokens.symbols):
            is_arrow = symbol == "=>" and self.tokens.symbol(at + 1) != "{"
            is_only = symbol == "return" and self.tokens.symbol(at - 1) == "{"
            if not is_arrow and not is_only:
                continue
            owner = scopes.owners[at + 1] if at + 1 < len(self.tokens) else -1
            if owner < 0:
                continue
            function = scopes.functions[owner]
            if function.start not in {at - 1, at + 1}:
                continue
            inside = scopes.parameters(function)
            names = [
                self.tokens.texts[x]
                for x in scopes.direct(inside)
                if self.tokens.is_name(x) and self.tokens.symbol(x - 1) in {"(", ",", "=>", "async"}
            ]
            is_bare = len(inside) == 1 and self.tokens.is_name(inside.start)
            made = Callable([self.tokens.texts[inside.start]] if is_bare else names, at + 1)
            self._functions.setdefault(function.head, made)
            self._functions.setdefault(function.end, made)
            for name in function.names:
                self._functions.setdefault(name, made)

    def apply(self, key: str | int, pieces: list[Value]) -> Value:
        """Return the result of a function of the script: of its first `return`."""
        function = self._functions.get(key)
        if function is None or self._calls >= _MAX_CALLS or self.budget.steps <= 0:
            return None
        before = {name: self.known.get(name) for name in function.names}
        self.known.update(zip(function.names, pieces, strict=False))
        self._calls += 1
        value = self.resolve(self.expression(function.at)[0])
        self._calls -= 1
        self.known.update(before)
        return value

    def expression(self, at: int, depth: int = 0) -> tuple[Value, int]:
        """Return the value of the expression at the token, and its end."""
        if depth > _MAX_DEPTH:
            return None, len(self.tokens)
        value, at = self._term(at, depth)
        value = self._charge(self.resolve(value))
        while True:
            symbol = self.tokens.symbol(at)
            if symbol == "?":
                first, at = self.expression(at + 1, depth + 1)
                second: Value = None
                if self.tokens.symbol(at) == ":":
                    second, at = self.expression(at + 1, depth + 1)
                return (first if first is not None else second), at
            if symbol not in _OPERATORS:
                return value, at
            right, at = self._term(at + 1, depth)
            value = self._charge(apply_operator(symbol, value, self.resolve(right)))

    def arguments(self, opened: int, depth: int = 0) -> list[Value]:
        """Return the values between a bracket and its matching bracket."""
        found: list[Value] = []
        end = self.tokens.matching[opened]
        at = opened + 1
        while at < end and len(found) < MAX_ITEMS and self.budget.steps > 0:
            is_spread = self.tokens.symbol(at) == "..."
            value, after = self.expression(at + 1 if is_spread else at, depth + 1)
            if is_spread and isinstance(value, (list, str)):
                self._charge(value)
                found += value[:MAX_ITEMS]
            else:
                found.append(value)
            at = self._next_comma(after, end) + 1
        return found

    def _next_comma(self, at: int, end: int) -> int:
        """Return the next comma on this level; `end` if there is none."""
        while at < end and self.tokens.symbol(at) != ",":
            self.budget.steps -= 1
            if self.budget.steps < 0:
                return end
            matching = self.tokens.matching[at]
            at = matching + 1 if matching > at else at + 1
        return at

    def assign(self, name: str, value: Value, *, append: bool) -> None:
        """Record an assignment; `append` is True for `+=`."""
        if append:
            value = self._charge(apply_operator("+", self.known.get(name), value))
        self.known[name] = value
        owner, _, part = name.rpartition(".")
        if part in _URL_PARTS and isinstance(self.known.get(owner), str):
            self.known[owner] = Prefix("")

    def resolve(self, value: Value) -> Value:
        """Return the value of a name."""
        if not isinstance(value, Path):
            return value
        names = value.names
        if names[0].startswith("#"):
            return value
        while len(names) > 1 and names[0] in BASES:
            names = names[1:]
        name = ".".join(names)
        found = self.known.get(name)
        found = found if found is not None else self.final_values.get(name)
        if found is None and len(names) > 1:
            found = self.final_values.get(f"*.{names[-1]}")
        return found if found is not None else page_url_part(names, self.page_url)

    def _charge(self, value: Value) -> Value:
        """Subtract the cost of a value's size from the budget."""
        if isinstance(value, (str, list)):
            units = _CHARACTERS_PER_STEP if isinstance(value, str) else _ITEMS_PER_STEP
            self.budget.steps -= len(value) // units
        elif isinstance(value, Prefix) and len(value.text) >= MAX_TEXT:
            self.budget.is_cut = True
        return value if self.budget.steps > 0 else None

    def _term(self, at: int, depth: int) -> tuple[Value, int]:
        self.budget.steps -= 1
        if self.budget.steps < 0 or depth > _MAX_DEPTH or at >= len(self.tokens):
            return None, len(self.tokens)
        kind, text = self.tokens.kinds[at], self.tokens.texts[at]
        if kind is Kind.NAME:
            return self._named(at, text, depth)
        if kind is Kind.PUNCTUATOR:
            return self._sign(at, text, depth)
        value: Value = None
        if kind is Kind.STRING:
            value = text
        elif kind is Kind.NUMBER:
            value = number(text)
        return self._members(value, at + 1, depth)

    def _named(self, at: int, text: str, depth: int) -> tuple[Value, int]:
        if text in _PREFIXES:
            value, at = self._term(at + 1, depth + 1)
            return (value if text in {"new", "await"} else None), at
        if text == "function":
            return None, self._after_function(at)
        if self.tokens.symbol(at + 1) in {"=", "+="}:
            return self.expression(at + 2, depth + 1)
        return self._members(Path((text,)), at + 1, depth)

    def _sign(self, at: int, text: str, depth: int) -> tuple[Value, int]:
        end = self.tokens.matching[at] + 1
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
        while at < len(self.tokens) and self.tokens.symbol(at) != "{":
            self.budget.steps -= 1
            if self.budget.steps < 0:
                return len(self.tokens)
            at = self.tokens.matching[at] + 1 if self.tokens.matching[at] > at else at + 1
        return self.tokens.matching[at] + 1 if at < len(self.tokens) else at

    def _members(self, value: Value, at: int, depth: int) -> tuple[Value, int]:
        """Evaluate `.name`, `[index]` and `(arguments)` after a term."""
        tokens = self.tokens
        while at < len(tokens) and self.budget.steps > 0:
            symbol = tokens.symbol(at)
            if symbol == "." and tokens.is_name(at + 1):
                name = tokens.texts[at + 1]
                if tokens.symbol(at + 2) == "(":
                    pieces = self.arguments(at + 2, depth + 1)
                    value = self._call(value, name, pieces, at + 3)
                    at = tokens.matching[at + 2] + 1
                else:
                    owner = value.names if isinstance(value, Path) else ("",)
                    value, at = Path((*owner[-8:], name)), at + 2
            elif symbol == "[" and _is_index(tokens, at):
                index = next(iter(self.arguments(at, depth + 1)), None)
                if not (isinstance(value, Path) and value.names[0].startswith("#")):
                    value = item(self.resolve(value), index)
                at = tokens.matching[at] + 1
            elif symbol == "(":
                pieces = self.arguments(at, depth + 1)
                name = value.names[-1] if isinstance(value, Path) else ""
                made = self.apply(at - 1, pieces) if value is None else None
                if made is None:
                    made = self._call(None, name, pieces, at + 1)
                value, at = made, tokens.matching[at] + 1
            else:
                break
        return value, at

    def _call(self, owner: Value, name: str, pieces: list[Value], first: int) -> Value:
        """Return the result of a call, for known functions of texts."""
        texts = [piece for piece in pieces if isinstance(piece, str)]
        if name in _ELEMENTS and texts:
            return element_path(name, texts[0])
        if name in _CODES or name == "Blob":
            return self._charge(blob_text(pieces) if name == "Blob" else from_codes(pieces))
        if name in FUNCTIONS and texts and isinstance(pieces[0], str):
            return self._charge(FUNCTIONS[name](texts[0]))
        if name.endswith("Event") and texts:
            return texts[0]
        if name in {"call", "apply"} and isinstance(owner, Path) and len(pieces) > 1:
            given = pieces[1] if name == "apply" else pieces[1:]
            value = self._call(None, owner.names[-1], given if isinstance(given, list) else [], -1)
        elif name in self._functions:
            value = self._charge(self.apply(name, pieces))
        else:
            value = self._method(owner, name, pieces, first)
        return value

    def _method(self, owner: Value, name: str, pieces: list[Value], first: int) -> Value:
        """Return the result of a method of a text or a list."""
        texts = [piece for piece in pieces if isinstance(piece, str)]
        subject = self._charge(self.resolve(owner))
        pattern = self.tokens.texts[first] if self._is_regex(first) else ""
        if isinstance(subject, str):
            return self._charge(text_method(subject, name, pieces, pattern))
        if isinstance(subject, list) and name == "map":
            return self._map(subject, pieces, first)
        if isinstance(subject, list):
            return self._charge(list_method(subject, name, texts))
        return None

    def _map(self, items: list[Value], pieces: list[Value], first: int) -> Value:
        """Return the results of a function for each item."""
        named = pieces[0] if pieces and isinstance(pieces[0], Path) else None
        found: list[Value] = []
        for index, item_ in enumerate(items):
            if self.budget.steps <= 0:
                return None
            given: list[Value] = [item_, float(index)]
            if first in self._functions:
                found.append(self.apply(first, given))
            elif named is not None:
                found.append(self._call(None, named.names[-1], given[:1], -1))
            else:
                return None
        return found

    def _is_regex(self, at: int) -> bool:
        return 0 <= at < len(self.tokens) and self.tokens.kinds[at] is Kind.REGEX


def _is_index(tokens: Tokens, at: int) -> bool:
    """Return True if a bracket is an index, by the token before it."""
    return (at > 0 and tokens.kinds[at - 1] is not Kind.PUNCTUATOR) or tokens.symbol(at - 1) in {
        ")",
        "]",
    }
