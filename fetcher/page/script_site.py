"""A name in the code of a script, and what stands around it."""

from collections.abc import Iterator
from dataclasses import dataclass

from fetcher.page.script_calls import Calls
from fetcher.page.script_functions import Path, Value
from fetcher.page.script_guards import holds_in_frames, is_other_protocol
from fetcher.page.script_tokens import Kind, Tokens
from fetcher.page.script_values import BASES, Values

_MAX_GUARDS = 64


@dataclass(slots=True)
class Site:
    """A name in running code, and what stands around it."""

    tokens: Tokens
    values: Values
    calls: Calls
    at: int
    since_s: float
    nested: int

    @property
    def delay_s(self) -> float:
        """Return after how many seconds the page comes here."""
        return self.since_s + self.calls.delay_s(self.at)

    @property
    def is_method(self) -> bool:
        """Tell whether the name stands after a dot."""
        return self.tokens.sign(self.at - 1) == "."

    @property
    def is_own(self) -> bool:
        """Tell whether the name is the window's or the document's own."""
        if not self.is_method:
            return self.tokens.sign(self.at + 1) != ":" or self.tokens.sign(self.at - 1) == "?"
        owner = self.tokens.sign(self.at - 2)
        alias = self.values.finally_known.get(owner)
        if isinstance(alias, Path):
            owner = alias.names[-1]
        is_first = self.tokens.sign(self.at - 3) != "." or self.tokens.sign(self.at - 4) in BASES
        return owner in BASES | {"defaultView", "frames", "contentWindow"} and is_first

    @property
    def is_local_variable(self) -> bool:
        """Tell whether `var location` declares a function's own variable."""
        return self.tokens.sign(self.at - 1) == "var" and self.calls.owners[self.at] >= 0

    def key(self, opened: int) -> str:
        """Return the name in brackets of a member; empty where it is not known."""
        value = next(iter(self.values.arguments(opened)), None)
        return value if isinstance(value, str) else ""

    @property
    def opened(self) -> bool:
        """Tell whether the name is called."""
        return self.tokens.sign(self.at + 1) == "("

    @property
    def arguments(self) -> list[Value]:
        """Return what it is called with."""
        return self.values.arguments(self.at + 1) if self.opened else []

    @property
    def guards(self) -> Iterator[int]:
        """Yield the opening bracket of each condition that this depends on; -1 for `else`."""
        at = self.at
        for _ in range(_MAX_GUARDS):
            begin = _statement(self.tokens, at)
            before = self.tokens.sign(begin - 1)
            if before == ")" and self.tokens.sign(self.tokens.mate[begin - 1] - 1) == "if":
                yield self.tokens.mate[begin - 1]
            elif before in {"else", "&&", "||", "?", ":"}:
                yield -1
            at = self.tokens.around[at]
            owner = self.calls.owners[self.at]
            if at < 0 or (owner >= 0 and at <= self.calls.functions[owner].start):
                return
            self.values.budget.steps -= 1
            if self.values.budget.steps < 0:
                return

    @property
    def is_guarded(self) -> bool:
        """Tell whether a condition decides about this."""
        return next(self.guards, None) is not None

    @property
    def never_happens(self) -> bool:
        """Tell whether this happens only in a frame, or for a page of another protocol."""
        # A script may replace these two.
        can_tell = not {"self", "parent"} & self.values.finally_known.keys()
        return any(
            (can_tell and holds_in_frames(self.tokens, opened))
            or is_other_protocol(self.tokens, opened, self.values.page_url)
            for opened in self.guards
        )

    def element(self, target: str) -> tuple[str | int, str]:
        """Return the id, name or number of what the method is called on, and its target.

        The target is known where a script has set it.
        """
        tokens, before = self.tokens, self.at - 2
        if tokens.sign(before) in {")", "]"} and tokens.mate[before] >= 0:
            inside = tokens.mate[before] + 1
            number = tokens.texts[inside] if tokens.kinds[inside] is Kind.NUMBER else ""
            name = (tokens.string(inside) or "").lstrip("#")
            return (int(number) if number.isdigit() else name), ""
        name = tokens.sign(before)
        found = self.values.resolved(Path((name,)))
        url = self.values.resolved(Path((name, target)))
        name = found.names[0].lstrip("#") if isinstance(found, Path) else name
        return name, url if isinstance(url, str) else ""

    def changed(self, part: str, value: Value) -> Value:
        """Return the page's URL with one part of it replaced."""
        own = self.values.page_url
        origin, _, rest = own.partition("://")[2].partition("/")
        scheme = own.partition(":")[0]
        if not isinstance(value, str):
            return None
        match part:
            case "protocol":
                return f"{value.rstrip(':/')}://{origin}/{rest}"
            case "host" | "hostname":
                return f"{scheme}://{value}/{rest}"
            case "search":
                return f"?{value.removeprefix('?')}"
            case _:
                return f"/{value.removeprefix('/')}"


def _statement(tokens: Tokens, at: int) -> int:
    """Return the first token of the expression that ends before or holds the token."""
    while at > 0 and (tokens.sign(at - 1) == "." or tokens.is_name(at - 1)):
        if tokens.sign(at - 1) in {"else", "return", "if", "var"}:
            break
        at -= 1
    return at
