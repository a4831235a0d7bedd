"""Finds the functions of a script and the names that each function declares."""

from collections.abc import Iterator

from fetcher.page.script.tokens import Tokens

#: Keywords before parentheses after which a block is not a function body.
_CONTROL = frozenset({"if", "for", "while", "switch", "catch", "with"})
_DECLARING = frozenset({"var", "let", "const"})
#: Tokens that end a list of declarations.
_ENDS = frozenset({";", ")", "}", "]", *_DECLARING, "function", "if", "return", "for", "of", "in"})
#: Maximum number of tokens in a parameter list or a pattern whose names are declared.
_MAX_PATTERN = 400
#: Maximum number of functions around a name that are searched for its declaration.
_MAX_NESTED = 64
#: Maximum number of tokens between `class` and the body.
_MAX_HEAD = 12


class Function:
    """A function, its position in the code, and whether it runs without input."""

    __slots__ = ("delay_s", "end", "head", "is_live", "names", "owner", "start")

    def __init__(self, head: int, start: int, end: int, names: frozenset[str]) -> None:
        """Create a function that does not run."""
        #: Its first token, and the tokens of its body; the end is exclusive.
        self.head, self.start, self.end = head, start, end
        self.names = names
        #: The function that contains it; -1 if there is none.
        self.owner = -1
        self.is_live = False
        self.delay_s = 0.0


class Scopes:
    """The functions of a script; `owners` is the innermost function around each token."""

    def __init__(self, tokens: Tokens) -> None:
        """Find the functions."""
        self.tokens = tokens
        self.functions = _functions(tokens)
        self.owners = _owners(tokens, self.functions)
        #: The names that each function declares; the last set is the script's.
        self.declared: list[set[str]] = []
        #: The tokens that declare a name.
        self.declaring: set[int] = set()

    def parameters(self, function: Function) -> range:
        """Return the tokens of the parameters of a function."""
        tokens, before = self.tokens, function.start - 1
        closed = before - 1 if tokens.symbol(before) == "=>" else before
        if tokens.symbol(closed) == ")" and tokens.matching[closed] >= 0:
            opened = tokens.matching[closed]
            return range(opened + 1, min(closed, opened + _MAX_PATTERN))
        is_bare = tokens.symbol(before) == "=>" and tokens.is_name(closed)
        return range(closed, closed + 1) if is_bare else range(0)

    def direct(self, inside: range) -> Iterator[int]:
        """Yield the tokens of parameters that are in no inner parentheses: of no other function."""
        at = inside.start
        while at < inside.stop:
            yield at
            at = max(self.tokens.matching[at] if self.tokens.symbol(at) == "(" else at, at) + 1

    def find_declarations(self) -> None:
        """Find the names that each function declares."""
        self.declared = [set() for _ in range(len(self.functions) + 1)]
        for index, function in enumerate(self.functions):
            self._declare(index, self.parameters(function))
        tokens = self.tokens
        for at, symbol in enumerate(tokens.symbols):
            if symbol in _DECLARING:
                self._find_declarators(at + 1)
            elif symbol in {"function", "class"} and tokens.is_name(at + 1):
                self.declared[self.owners[at]].add(tokens.texts[at + 1])
                self.declaring.add(at + 1)

    def scope(self, name: str, at: int) -> int:
        """Return the function that declares the name that is used at a token; -1 if none does."""
        owner = self.owners[at]
        for _ in range(_MAX_NESTED):
            if owner < 0 or name in self.declared[owner]:
                return owner
            owner = self.functions[owner].owner
        return -1

    def _find_declarators(self, at: int) -> None:
        tokens = self.tokens
        while at < len(tokens):
            closed = tokens.matching[at]
            if closed > at:
                self._declare(self.owners[at], range(at + 1, min(closed, at + _MAX_PATTERN)))
            elif tokens.is_name(at):
                self._declare(self.owners[at], range(at, at + 1))
            while at < len(tokens) and tokens.symbol(at) != ",":
                if tokens.symbol(at) in _ENDS:
                    return
                at = max(tokens.matching[at], at) + 1
            at += 1

    def _declare(self, index: int, inside: range) -> None:
        """Declare the names of a pattern: those that are neither keys nor default values."""
        tokens = self.tokens
        for at in self.direct(inside):
            is_value = tokens.symbol(at - 1) == "=" or tokens.symbol(at - 1) == "."
            if tokens.is_name(at) and not is_value and tokens.symbol(at + 1) not in {":", "("}:
                self.declared[index].add(tokens.texts[at])
                self.declaring.add(at)


def _functions(tokens: Tokens) -> list[Function]:
    found: list[Function] = []
    ends: dict[int, int] = {}
    for at in range(len(tokens) - 1, -1, -1):
        symbol = tokens.symbol(at)
        if symbol == "=>":
            end = ends[at] = _arrow_end(tokens, at, ends)
            before = tokens.matching[at - 1] if tokens.symbol(at - 1) == ")" else at - 1
            head = before - 1 if tokens.symbol(before - 1) == "async" else before
            found.append(Function(head, at + 1, end, _names_before(tokens, head)))
        elif symbol == "{" and tokens.symbol(at - 1) == ")" and tokens.matching[at - 1] > 0:
            function = _named_body(tokens, at)
            found += [function] if function else []
    return found[::-1]


def _arrow_end(tokens: Tokens, at: int, ends: dict[int, int]) -> int:
    """Return the end of an arrow function; `ends` are the ends of the later arrow functions."""
    if tokens.symbol(at + 1) == "{":
        return tokens.matching[at + 1] + 1
    index = at + 1
    while index < len(tokens) and tokens.symbol(index) not in {",", ";", ")", "]", "}"}:
        if index in ends:
            return ends[index]
        matching = tokens.matching[index]
        index = matching + 1 if matching > index else index + 1
    return index


def _named_body(tokens: Tokens, brace: int) -> Function | None:
    """Return the function whose body starts at the brace; None if it is a block."""
    name = tokens.matching[brace - 1] - 1
    end = tokens.matching[brace] + 1
    word = tokens.symbol(name)
    if word in {"function", "*"}:
        head = name - 1 if word == "*" else name
        return Function(head, brace, end, _names_before(tokens, head))
    if not tokens.is_name(name) or word in _CONTROL:
        return None
    before = name - 2 if tokens.symbol(name - 1) == "*" else name - 1
    if tokens.symbol(before) == "function":
        return Function(before, brace, end, frozenset({word}) | _names_before(tokens, before))
    names = {word} | (_class_names(tokens, name) if word == "constructor" else set())
    return Function(name, brace, end, frozenset(names))


def _class_names(tokens: Tokens, at: int) -> set[str]:
    """Return the names of the class whose body contains the token."""
    opened = tokens.enclosing[at]
    for before in range(opened - 1, max(opened - _MAX_HEAD, -1), -1):
        if tokens.symbol(before) == "class":
            own = {tokens.texts[before + 1]} if tokens.is_name(before + 1) else set()
            return own | _names_before(tokens, before)
    return set()


def _names_before(tokens: Tokens, head: int) -> frozenset[str]:
    """Return the name that a function is assigned to, itself or in a list or a group."""
    head = head - 1 if tokens.symbol(head - 1) == "async" else head
    before = tokens.symbol(head - 1)
    opened = tokens.enclosing[head] if head < len(tokens) else -1
    if before in {"[", ",", "("} and opened >= 0 and tokens.symbol(opened) in {"[", "("}:
        head = opened
        before = tokens.symbol(head - 1)
    at = head - 2
    if before in {"=", ":"} and tokens.is_name(at):
        return frozenset({tokens.texts[at]})
    return frozenset()


def _owners(tokens: Tokens, functions: list[Function]) -> list[int]:
    """Set the innermost function around each function; return the one around each token."""
    owners = [-1] * len(tokens)
    # In the order of their starts, outer functions come before inner ones.
    order = sorted(range(len(functions)), key=lambda index: functions[index].start)
    stack: list[int] = []
    pending = iter(order)
    upcoming = next(pending, None)
    for at in range(len(tokens)):
        while stack and functions[stack[-1]].end <= at:
            stack.pop()
        while upcoming is not None and functions[upcoming].start == at:
            functions[upcoming].owner = stack[-1] if stack else -1
            stack.append(upcoming)
            upcoming = next(pending, None)
        owners[at] = stack[-1] if stack else -1
    return owners
