"""Resolves chains of names such as `window.document.location` to the object that they mean."""

from fetcher.page.script.scopes import Scopes
from fetcher.page.script.tokens import Kind, Tokens
from fetcher.page.script.values import Evaluator

#: The names of an object, from the page's window: `("location", "assign")`.
Names = tuple[str, ...]
#: For a scope and a name, with a member if there is one, the object that it means.
Aliases = dict[tuple[int, str], Names]

WINDOW: Names = ("window",)
#: The window of a frame of the page.
FRAME: Names = ("contentWindow",)
#: The page's window, seen from one of its frames.
TOP: Names = ("top",)
_OWN_NAMES = frozenset({"window", "self", "globalThis", "frames"})
_OUTER_NAMES = frozenset({"top", "parent"})
#: Members of the window that lead to navigations or that evaluate a text.
_ROOTS = frozenset(
    {
        *("document", "location", "eval", "Function", "open", "setTimeout", "setInterval"),
        *("history", "navigation", "Reflect", "String", "atob", "unescape", "decodeURIComponent"),
        *("postMessage", "dispatchEvent", "addEventListener", "fetch", "Promise"),
    }
)
#: Objects that an alias is recorded for, besides the windows, documents and roots.
_MEMBERS = frozenset(
    {
        *(("location", "assign"), ("location", "replace"), ("location", "reload")),
        *(("document", "write"), ("document", "writeln"), ("navigation", "navigate")),
        *(("String", "fromCharCode"), ("history", "pushState"), ("history", "replaceState")),
        *(("Reflect", "set"), ("Reflect", "apply"), ("top", "location"), ("top", "document")),
        ("contentWindow", "document"),
    }
)
#: What these members mean of any object: only frames and functions have them.
_FROM_ANY: dict[str, Names] = {
    "contentWindow": FRAME,
    "contentDocument": (*FRAME, "document"),
    "constructor": ("Function",),
}
_MAX_DEPTH = 6
_MAX_OPERANDS = 24
_OPERATORS = frozenset({"||", "&&", "??", "?", ":"})
#: Tokens after an expression, or after an operand that may be its value.
_ENDS = frozenset({"", ";", ",", ")", "]", "}", "||", "??", ":"})
_BEFORE_OPERAND = frozenset({"await", "new", "void", "async"})


class Chains:
    """Resolves the chains of one script."""

    def __init__(self, scopes: Scopes, values: Evaluator, *, in_frame: bool = False) -> None:
        """Create a resolver without aliases; `in_frame` is True for the script of a frame."""
        self.scopes, self.values, self.in_frame = scopes, values, in_frame
        self.tokens: Tokens = scopes.tokens
        self.aliases: Aliases = {}
        self.names: set[str] = set()
        #: What functions return, by the end of the function.
        self.results: dict[int, Names] = {}
        #: What getters return, by name.
        self.getters: dict[str, Names] = {}
        #: The statements after `with (object)`: first and last token, and the object.
        self.inside: list[tuple[int, int, Names]] = []

    def add(self, scope: int, name: str, meant: Names | None) -> bool:
        """Record an alias; return True if it is a new one of an object that matters."""
        key = (scope, name)
        if not meant or key in self.aliases or not is_relevant(meant):
            return False
        self.aliases[key] = meant
        self.names.add(name.partition(".")[0])
        return True

    def value(self, at: int, depth: int = 0) -> Names | None:
        """Return the object that an expression means; with operators, that of any operand."""
        tokens = self.tokens
        for _ in range(_MAX_OPERANDS):
            meant, at = self.chain(at, depth)
            symbol = tokens.symbol(at)
            is_end = symbol in _ENDS or (tokens.is_name(at) and symbol not in {"in", "instanceof"})
            if meant is not None and is_relevant(meant) and is_end:
                return meant
            if symbol not in _OPERATORS and not (symbol == "=" and tokens.is_name(at - 1)):
                return None
            at += 1
        return None

    def chain(self, at: int, depth: int = 0, end: int = -1) -> tuple[Names | None, int]:
        """Return the object that the chain at the token means, and the chain's end.

        The chain is read up to `end` if that is given.
        """
        tokens = self.tokens
        self.values.budget.steps -= 1
        if depth > _MAX_DEPTH or self.values.budget.steps < 0:
            return None, at + 1
        symbol = tokens.symbol(at)
        if symbol in _BEFORE_OPERAND:
            return self.chain(at + 1, depth + 1, end)
        if symbol == "(" and tokens.matching[at] > at:
            meant, at = self.value(self._last_operand(at), depth + 1), tokens.matching[at] + 1
        elif tokens.is_name(at):
            meant, at = self._first(at)
        else:
            closed = tokens.matching[at] if 0 <= at < len(tokens) else -1
            meant, at = None, max(closed, at) + 1
        if meant is None and at - 1 in self.results and tokens.symbol(at) == "(":
            meant, at = self.results[at - 1], max(tokens.matching[at], at) + 1
        while at != end:
            following = self._member(meant, at, depth)
            if following is None:
                break
            meant, at = following
        return meant, at

    def before(self, at: int) -> Names | None:
        """Return the object whose member the name at the token is."""
        tokens, end = self.tokens, at - 1
        begin = end
        for _ in range(_MAX_OPERANDS):
            if tokens.symbol(begin) == "." and begin > 0:
                begin -= 1
            begin = self._start_of_term(begin)
            if tokens.symbol(begin - 1) != ".":
                break
            begin -= 1
        return self.chain(begin, end=end)[0] if 0 <= begin < end else None

    def _start_of_term(self, at: int) -> int:
        """Return the first token of a name with calls and indexes that ends at the token."""
        tokens = self.tokens
        while tokens.symbol(at) in {")", "]"} and tokens.matching[at] >= 0:
            opened = tokens.matching[at]
            before = tokens.symbol(opened - 1)
            if not (tokens.is_name(opened - 1) or before in {")", "]"}):
                return opened
            at = opened - 1
        return at

    def _last_operand(self, opened: int) -> int:
        """Return the first token after the last comma of a group."""
        tokens, closed = self.tokens, self.tokens.matching[opened]
        at = begin = opened + 1
        while at < closed:
            self.values.budget.steps -= 1
            if self.values.budget.steps < 0:
                break
            if tokens.symbol(at) == ",":
                begin = at + 1
            at = max(tokens.matching[at], at) + 1
        return begin

    def _first(self, at: int) -> tuple[Names | None, int]:
        """Return the object that a name means, with the member that is recorded as an alias."""
        tokens, name = self.tokens, self.tokens.texts[at]
        if name in self.names:
            scope = self.this(at) if name == "this" else self.scopes.scope(name, at)
            member, end = member_name(tokens, at)
            if member and (scope, member) in self.aliases:
                return self.aliases[scope, member], end
            if (scope, name) in self.aliases:
                return self.aliases[scope, name], at + 1
            if scope >= 0:
                return None, at + 1
        if name == "this":
            return (WINDOW if self.this(at) < 0 else None), at + 1
        return self._global(name), at + 1

    def _global(self, name: str) -> Names | None:
        """Return the object that a global name means."""
        if self.in_frame and name in _OUTER_NAMES:
            return TOP
        if self.in_frame and name == "frameElement":
            return (*TOP, "element")
        if name in _OWN_NAMES or name in _OUTER_NAMES:
            return WINDOW
        return (name,) if name in _ROOTS else None

    def this(self, at: int) -> int:
        """Return the function whose `this` is meant at a token; arrow functions have none."""
        owner = self.scopes.owners[at]
        for _ in range(_MAX_OPERANDS):
            if owner < 0:
                break
            function = self.scopes.functions[owner]
            if self.tokens.symbol(function.start - 1) != "=>":
                break
            owner = function.owner
        return owner

    def _member(self, meant: Names | None, at: int, depth: int) -> tuple[Names | None, int] | None:
        """Return the object after a member, an index or a call; None if the chain ends here."""
        tokens = self.tokens
        symbol = tokens.symbol(at)
        if symbol == "." and tokens.is_name(at + 1):
            return self.step(meant, tokens.texts[at + 1]), at + 2
        closed = tokens.matching[at] if symbol in {"[", "("} else -1
        if closed <= at:
            return None
        if symbol == "[":
            if meant is None:
                return None, closed + 1
            index = next(iter(self.values.arguments(at)), None)
            if isinstance(index, str):
                return self.step(meant, index), closed + 1
            return (FRAME if meant == WINDOW and index is not None else None), closed + 1
        return self._result(meant, at, depth), closed + 1

    def _result(self, meant: Names | None, opened: int, depth: int) -> Names | None:
        """Return the object that a call returns."""
        match meant:
            case (*names, "bind"):
                return tuple(names)
            case ("Reflect", "get"):
                pieces = self.values.arguments(opened)
                name = pieces[1] if len(pieces) > 1 else None
                owner = self.value(opened + 1, depth + 1)
                return self.step(owner, name) if isinstance(name, str) else None
            case ("Function",) if self.tokens.string(opened + 1) == "return this":
                return ("Function", "window")
            case ("Function", "window"):
                return WINDOW
            case _:
                return None

    def step(self, meant: Names | None, name: str) -> Names | None:
        """Return a member of an object."""
        if name == "ownerDocument":
            return (*TOP, "document") if meant == (*TOP, "element") else ("document",)
        if name in _FROM_ANY:
            return _FROM_ANY[name]
        if meant is None:
            return None
        is_short = len(meant) <= len(("top", "document"))
        if is_short and meant[-1] in {"document", "window", "top", "contentWindow"}:
            return self._of_window(meant, name)
        return (*meant, name) if is_short else None

    def _of_window(self, meant: Names, name: str) -> Names:
        """Return a member of a window or of a document."""
        window = WINDOW if meant == ("document",) else meant[:1]
        if meant[-1] == "document" and name not in {"location", "defaultView"}:
            return (*meant, name)
        if name == "defaultView" or name in _OWN_NAMES:
            return window
        if name in _OUTER_NAMES:
            return TOP if self.in_frame else WINDOW
        return (name,) if window == WINDOW else (*window, name)


def is_relevant(meant: Names) -> bool:
    """Return True if the object navigates, writes or evaluates, or has such members."""
    if len(meant) == 1:
        return meant[0] in _ROOTS or meant in {WINDOW, FRAME, TOP}
    return meant in _MEMBERS


def member_name(tokens: Tokens, at: int) -> tuple[str, int]:
    """Return the name at the token with its member, `a.b`, `a.0` or `a.()`, and the end."""
    name, symbol = tokens.texts[at], tokens.symbol(at + 1)
    if symbol == "." and tokens.is_name(at + 2):
        return f"{name}.{tokens.texts[at + 2]}", at + 3
    closed = tokens.matching[at + 1] if symbol in {"[", "("} else -1
    if symbol == "[" and closed == at + 3 and tokens.kinds[at + 2] is Kind.NUMBER:
        return f"{name}.{tokens.texts[at + 2]}", at + 4
    return (f"{name}.()", closed + 1) if symbol == "(" and closed > at else ("", at + 1)
