"""A name in the code of a script, with its context."""

from collections.abc import Iterator

from msgspec import Struct

from fetcher.page.script.calls import CallGraph
from fetcher.page.script.chains import TOP, WINDOW, Chains
from fetcher.page.script.conditions import is_other_protocol, is_true_only_in_frames
from fetcher.page.script.functions import Path, Value, apply_operator
from fetcher.page.script.tokens import Kind, Tokens
from fetcher.page.script.values import BASES, Evaluator

_MAX_CONDITIONS = 64
#: Steps that the examination of a condition counts, and names before it that count as one step.
_STEPS_PER_CONDITION = 8
_NAMES_PER_STEP = 8
#: Keywords before an expression that may be in parentheses.
_KEYWORDS = frozenset({"return", "else", "do", "void", "typeof", "await", "yield", "in", "of"})
#: The last tokens of chains that are more than names.
_AFTER_CHAIN = frozenset({")", "]", "ownerDocument", "defaultView"})


class Occurrence(Struct):
    """A name in code that runs, with its context."""

    tokens: Tokens
    values: Evaluator
    calls: CallGraph
    chains: Chains
    at: int
    base_delay_s: float
    nested: int

    @property
    def delay_s(self) -> float:
        """The delay in seconds after which the page runs this code."""
        return self.base_delay_s + self.calls.delay_s(self.at)

    @property
    def is_method(self) -> bool:
        """True if the name follows a dot."""
        return self.tokens.symbol(self.at - 1) == "."

    @property
    def is_global(self) -> bool:
        """True if the name is a property of the window or of the document."""
        if not self.is_method:
            return self.tokens.symbol(self.at + 1) != ":" or self.tokens.symbol(self.at - 1) == "?"
        is_first = (
            self.tokens.symbol(self.at - 3) != "." or self.tokens.symbol(self.at - 4) in BASES
        )
        if self.owner == "this":
            return self.calls.owners[self.at] < 0 and is_first
        return self.owner in BASES | {"defaultView", "frames"} and is_first

    @property
    def is_location(self) -> bool:
        """True if the name `location` means that of the page's window, not that of a frame."""
        if self.chains.in_frame:
            owner = self.chains.before(self.at) if self.is_method else None
            return owner in {TOP, (*TOP, "document")}
        is_result = self.is_method and self.tokens.symbol(self.at - 2) in _AFTER_CHAIN
        return self.is_global or (
            is_result and self.chains.before(self.at) in {WINDOW, ("document",)}
        )

    @property
    def owner(self) -> str:
        """The name before the dot; of `(a || b).c` it is `b`, and of an alias the aliased name."""
        tokens, at = self.tokens, self.at - 2
        if tokens.symbol(at) == ")" and _is_group(tokens, tokens.matching[at]):
            at -= 1
        name = tokens.symbol(at)
        alias = self.values.final_values.get(name)
        return alias.names[-1] if isinstance(alias, Path) else name

    @property
    def is_in_brackets(self) -> bool:
        """True if the name is the last one in parentheses that are no call: `(0, name)`."""
        tokens = self.tokens
        return tokens.symbol(self.at + 1) == ")" and _is_group(tokens, tokens.matching[self.at + 1])

    @property
    def is_called_in_brackets(self) -> bool:
        """True if the name is called as `(0, name)()`."""
        return self.is_in_brackets and self.tokens.symbol(self.at + 2) == "("

    @property
    def is_local_variable(self) -> bool:
        """True if `var location` declares a variable of a function."""
        return self.tokens.symbol(self.at - 1) == "var" and self.calls.owners[self.at] >= 0

    def member_name(self, opened: int) -> str:
        """Return the name of the member in brackets; empty if it is unknown."""
        value = next(iter(self.values.arguments(opened)), None)
        return value if isinstance(value, str) else ""

    @property
    def is_called(self) -> bool:
        """True if the name is called."""
        return self.tokens.symbol(self.at + 1) == "("

    @property
    def arguments(self) -> list[Value]:
        """The arguments of the call."""
        return self.values.arguments(self.at + 1) if self.is_called else []

    @property
    def conditions(self) -> Iterator[int]:
        """Yield the opening parenthesis of each condition around this name, or -1 for `else`."""
        at = self.at
        for _ in range(_MAX_CONDITIONS):
            if self.values.budget.steps < 0:
                return
            begin = _expression_start(self.tokens, at)
            self.values.budget.steps -= _STEPS_PER_CONDITION + (at - begin) // _NAMES_PER_STEP
            before = self.tokens.symbol(begin - 1)
            if before == ")" and self.tokens.symbol(self.tokens.matching[begin - 1] - 1) == "if":
                yield self.tokens.matching[begin - 1]
            elif before in {"else", "&&", "||", "?", ":"}:
                yield -1
            at = self.tokens.enclosing[at]
            owner = self.calls.owners[self.at]
            if at < 0 or (owner >= 0 and at <= self.calls.functions[owner].start):
                return

    @property
    def is_conditional(self) -> bool:
        """True if this code depends on a condition."""
        return next(self.conditions, None) is not None

    @property
    def is_unreachable(self) -> bool:
        """True if this code runs only in a frame or for a page of another protocol."""
        # A script may define these two names for itself.
        can_tell = not {"self", "parent"} & self.values.final_values.keys()
        return any(
            (can_tell and is_true_only_in_frames(self.tokens, opened))
            or is_other_protocol(self.tokens, opened, self.values.page_url)
            for opened in self.conditions
        )

    def element(self, target: str) -> tuple[str | int, str]:
        """Return the id, name or index of the object of a method call, and its target.

        The target is known only if a script has set it.
        """
        tokens, before = self.tokens, self.at - 2
        if tokens.symbol(before) in {")", "]"} and tokens.matching[before] >= 0:
            inside = tokens.matching[before] + 1
            number = tokens.texts[inside] if tokens.kinds[inside] is Kind.NUMBER else ""
            name = (tokens.string(inside) or "").lstrip("#")
            return (int(number) if number.isdigit() else name), ""
        name = tokens.symbol(before)
        found = self.values.resolve(Path((name,)))
        url = self.values.resolve(Path((name, target)))
        name = found.names[0].lstrip("#") if isinstance(found, Path) else name
        return name, url if isinstance(url, str) else ""

    def with_part(self, part: str, value: Value, *, append: bool = False) -> Value:
        """Return the page's URL with one part replaced, or with a text after that part."""
        own = self.values.page_url
        origin, _, rest = own.partition("://")[2].partition("/")
        scheme = own.partition(":")[0]
        if append:
            before = self.values.resolve(Path(("location", part or "href")))
            value = apply_operator("+", before, value)
        if not isinstance(value, str):
            return None
        match part:
            case "" | "href":
                return value
            case "protocol":
                return f"{value.rstrip(':/')}://{origin}/{rest}"
            case "host" | "hostname":
                return f"{scheme}://{value}/{rest}"
            case "search":
                return f"?{value.removeprefix('?')}"
            case _:
                return f"/{value.removeprefix('/')}"


def _is_group(tokens: Tokens, opened: int) -> bool:
    """Return True if a parenthesis groups an expression and does not start arguments."""
    before = opened - 1
    is_call = tokens.is_name(before) and tokens.symbol(before) not in _KEYWORDS
    return opened >= 0 and not is_call and tokens.symbol(before) not in {")", "]"}


def _expression_start(tokens: Tokens, at: int) -> int:
    """Return the first token of the expression that ends before the token or contains it."""
    while at > 0 and (tokens.symbol(at - 1) == "." or tokens.is_name(at - 1)):
        if tokens.symbol(at - 1) in {"else", "return", "if", "var"}:
            break
        at -= 1
    return at
