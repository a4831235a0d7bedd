"""Replaces other names of the location, the window and their methods by these themselves."""

from collections.abc import Iterator

from fetcher.page.script.chains import WINDOW, Aliases, Chains, Names, is_relevant, member_name
from fetcher.page.script.scopes import Scopes
from fetcher.page.script.tokens import Tokens
from fetcher.page.script.values import Evaluator

#: Aliases of aliases are found in as many rounds.
_MAX_ROUNDS = 3
#: Maximum number of arguments that are bound, and of members of an object.
_MAX_BOUND = 16
_DECLARING = frozenset({"var", "let", "const", "function", "class"})
#: Members of the location and of the document that are names inside of `with`.
_LOCATION_MEMBERS = frozenset({"href", "assign", "replace", "pathname", "search"})
_WITH_MEMBERS = _LOCATION_MEMBERS | {"location", "write", "writeln"}
_WRAPPERS = frozenset({"call", "apply"})
_ASSIGNMENTS = frozenset({"=", "+=", "=>"})


class AliasFinder:
    """Finds the aliases in one script."""

    def __init__(self, chains: Chains) -> None:
        """Create a finder that adds to the aliases of `chains`."""
        self.chains = chains
        self.tokens, self.scopes = chains.tokens, chains.scopes
        self._by_name: dict[str, int] = {}
        #: The functions by their last tokens.
        self._by_end: dict[int, int] = {}
        for index, function in enumerate(self.scopes.functions):
            self._by_end[function.end - 1] = index
            for name in function.names:
                self._by_name.setdefault(name, index)

    def find(self) -> None:
        """Find the aliases that assignments, calls and destructuring make."""
        tokens, symbols = self.tokens, self.tokens.symbols
        equals = [at for at, symbol in enumerate(symbols) if symbol == "="]
        calls = [
            call
            for at, symbol in enumerate(symbols)
            if symbol == "(" and (call := self._callee(at))
        ]
        returns = [at for at, symbol in enumerate(symbols) if symbol in {"return", "=>"}]
        for _ in range(_MAX_ROUNDS):
            size = len(self.chains.aliases) + len(self.chains.results)
            for at in equals:
                self._assignment(at)
            for index, opened, wrapper in calls:
                self._call(index, opened, wrapper)
            for at in returns:
                self._return(at)
            if len(self.chains.aliases) + len(self.chains.results) == size:
                break
        for at, symbol in enumerate(symbols):
            if symbol == "with" and tokens.symbol(at + 1) == "(":
                self._with(at + 1)

    def _with(self, opened: int) -> None:
        """Record the statement in which members of an object are names."""
        tokens, closed = self.tokens, self.tokens.matching[opened]
        meant = self.chains.value(opened + 1)
        if meant not in {("location",), ("document",)} or closed < 0:
            return
        end = tokens.matching[closed + 1] if tokens.symbol(closed + 1) == "{" else closed + 1
        if end == closed + 1:
            while end < len(tokens) and tokens.symbol(end) not in {";", "}"}:
                self.chains.values.budget.steps -= 1
                if self.chains.values.budget.steps < 0:
                    return
                end = max(tokens.matching[end], end) + 1
        if len(self.chains.inside) < _MAX_BOUND:
            self.chains.inside.append((closed, end, meant))
        self.chains.names |= _WITH_MEMBERS

    def _add(self, name_at: int, meant: Names | None) -> None:
        name = self.tokens.texts[name_at]
        self.chains.add(self.scopes.scope(name, name_at), name, meant)

    def _assignment(self, at: int) -> None:
        """Record `name = object`, `name.member = object` and the patterns before `=`."""
        tokens, before = self.tokens, self.tokens.symbol(at - 1)
        if before in {"}", "]"} and tokens.matching[at - 1] >= 0:
            self._pattern(tokens.matching[at - 1], at + 1)
        elif not tokens.is_name(at - 1):
            return
        elif tokens.symbol(at - 2) != ".":
            self._add_value(at - 1, at + 1)
        elif tokens.is_name(at - 3) and tokens.symbol(at - 4) != ".":
            owner = tokens.texts[at - 3]
            meant = self.chains.value(at + 1)
            self.chains.add(self._scope(owner, at - 3), f"{owner}.{before}", meant)

    def _scope(self, name: str, at: int) -> int:
        return self.chains.this(at) if name == "this" else self.scopes.scope(name, at)

    def _add_value(self, name_at: int, at: int) -> None:
        """Record the value of a name; of an object or a list its members."""
        tokens = self.tokens
        if tokens.symbol(at) in {"{", "["}:
            scope = self.scopes.scope(tokens.texts[name_at], name_at)
            for key, value in self._parts(at):
                meant = self.chains.value(value)
                self.chains.add(scope, f"{tokens.texts[name_at]}.{key}", meant)
        else:
            self._add(name_at, self.chains.value(at))

    def _parts(self, opened: int) -> list[tuple[str, int]]:
        """Return the first keys of an object or a list, each with the start of its value."""
        tokens, closed = self.tokens, self.tokens.matching[opened]
        found: list[tuple[str, int]] = []
        at = opened + 1
        while at < min(closed, len(tokens)) and len(found) < _MAX_BOUND:
            if tokens.symbol(opened) != "{":
                found.append((str(len(found)), at))
            elif tokens.symbol(at + 1) == ":":
                found.append((tokens.texts[at], at + 2))
            elif tokens.is_name(at):
                found.append((tokens.texts[at], at))
            while at < closed and tokens.symbol(at) != ",":
                at = max(tokens.matching[at], at) + 1
            at += 1
        return found

    def _pattern(self, opened: int, value: int, scope: int | None = None) -> None:
        """Record the names that a pattern takes from an object, or from a literal."""
        tokens = self.tokens
        literal = dict(self._parts(value)) if tokens.symbol(value) in {"{", "["} else None
        meant = None if literal is not None else self.chains.value(value)
        for name_at, part in self._taken(opened, meant, literal):
            if scope is None:
                self._add(name_at, part)
            else:
                self.chains.add(scope, self.tokens.texts[name_at], part)

    def _taken(
        self, opened: int, meant: Names | None, literal: dict[str, int] | None, depth: int = 0
    ) -> Iterator[tuple[int, Names | None]]:
        """Yield the names of a pattern with the objects that they get."""
        tokens = self.tokens
        for key, at in self._parts(opened):
            part = self.chains.value(literal[key]) if literal and key in literal else None
            if meant is not None:
                part = self.chains.step(meant, key)
            if tokens.symbol(at) in {"{", "["} and depth < _MAX_ROUNDS:
                yield from self._taken(at, part, None, depth + 1)
            elif tokens.is_name(at):
                if part is None and tokens.symbol(at + 1) == "=":
                    part = self.chains.value(at + 2)
                self.scopes.declaring.add(at)
                yield at, part

    def _callee(self, opened: int) -> tuple[int, int, str] | None:
        """Return the function that is called, the opening parenthesis, and `call` or `apply`."""
        tokens, end, wrapper = self.tokens, opened - 1, ""
        if tokens.symbol(end) in _WRAPPERS and tokens.symbol(end - 1) == ".":
            wrapper, end = tokens.texts[end], end - 2
        index = self._by_end.get(end)
        if index is None and tokens.symbol(end) == ")":
            index = self._by_end.get(end - 1)
        if (
            index is None
            and tokens.is_name(end)
            and tokens.symbol(tokens.matching[opened] + 1) != "{"
        ):
            index = self._by_name.get(tokens.texts[end])
        return None if index is None else (index, opened, wrapper)

    def _call(self, index: int, opened: int, wrapper: str) -> None:
        """Record the parameters of a function that is called with such objects."""
        tokens, function = self.tokens, self.scopes.functions[index]
        given = [at for _, at in self._parts(opened)]
        if wrapper:
            own = self.chains.value(given[0]) if given else WINDOW
            given = given[1:] if wrapper == "call" else []
        else:
            own = None if tokens.symbol(opened - 2) in {".", "new"} else WINDOW
        if tokens.symbol(function.start - 1) != "=>":
            self.chains.add(index, "this", own)
        inside = self.scopes.parameters(function)
        is_bare = len(inside) == 1 and inside.start == function.start - 2
        names = (
            [inside.start]
            if is_bare
            else [at for _, at in self._parts(inside.start - 1)]
            if inside
            else []
        )
        for name_at, value_at in zip(names, given, strict=False):
            if tokens.symbol(name_at) in {"{", "["}:
                self._pattern(name_at, value_at, index)
            elif tokens.is_name(name_at):
                self.chains.add(index, tokens.texts[name_at], self.chains.value(value_at))

    def _return(self, at: int) -> None:
        """Record what a function returns if it is such an object."""
        tokens = self.tokens
        owner = self.scopes.owners[at + 1] if at + 1 < len(tokens) else -1
        if owner < 0 or tokens.symbol(at + 1) == "{":
            return
        meant, function = self.chains.value(at + 1), self.scopes.functions[owner]
        if meant is None or not is_relevant(meant):
            return
        self.chains.results.setdefault(function.end, meant)
        if tokens.symbol(function.head - 1) == "get":
            self.chains.getters |= dict.fromkeys(function.names, meant)
        for name in function.names:
            self.chains.add(self.scopes.scope(name, function.head), f"{name}.()", meant)


def find_results(chains: Chains) -> None:
    """Find the functions that return such an object."""
    tokens = chains.tokens
    for at, symbol in enumerate(tokens.symbols):
        if symbol not in {"return", "=>"} or tokens.symbol(at + 1) in {"", "{"}:
            continue
        owner, meant = chains.scopes.owners[at + 1], chains.value(at + 1)
        if owner >= 0 and meant is not None and is_relevant(meant):
            chains.results.setdefault(chains.scopes.functions[owner].end, meant)


def expand(chains: Chains) -> Tokens:
    """Return the tokens with the objects in place of their aliases."""
    tokens, found = chains.tokens, Tokens()
    at = 0
    while at < len(tokens):
        is_known = tokens.texts[at] in chains.names or (
            tokens.symbol(at + 1) == "." and tokens.symbol(at + 2) in chains.getters
        )
        meant, end = _replacement(chains, at) if is_known else (None, at + 1)
        if meant is None:
            found.kinds += tokens.kinds[at:end]
            found.texts += tokens.texts[at:end]
            found.symbols += tokens.symbols[at:end]
        else:
            found.put_chain(meant)
        at = end
    found.match_brackets()
    return found


def _replacement(chains: Chains, at: int) -> tuple[Names | None, int]:
    """Return the object that the name means here; None if it is declared, assigned or a key."""
    tokens = chains.tokens
    before, name = tokens.symbol(at - 1), tokens.texts[at]
    if (
        not tokens.is_name(at)
        or before == "."
        or before in _DECLARING
        or at in chains.scopes.declaring
    ):
        return None, at + 1
    if name in _WITH_MEMBERS:
        for begin, last, owner in chains.inside:
            if begin < at < last and (owner == ("location",)) == (name in _LOCATION_MEMBERS):
                return (*owner, name), at + 1
    meant, end = _alias(chains, at)
    after = tokens.symbol(end)
    is_key = after == ":" and before in {"{", ","}
    is_method = after == "{" and tokens.symbol(end - 1) == ")"
    return (None, at + 1) if is_key or is_method or after in _ASSIGNMENTS else (meant, end)


def _alias(chains: Chains, at: int) -> tuple[Names | None, int]:
    """Return the object that the name means, with its member if that is an alias."""
    tokens, name = chains.tokens, chains.tokens.texts[at]
    scope = chains.this(at) if name == "this" else chains.scopes.scope(name, at)
    member, end = member_name(tokens, at)
    meant = chains.aliases.get((scope, member)) if member else None
    meant = meant or chains.getters.get(member.partition(".")[2])
    return (meant, end) if meant else (chains.aliases.get((scope, name)), at + 1)


def find_aliases(scopes: Scopes, values: Evaluator, known: Aliases, *, in_frame: bool) -> Chains:
    """Return the chains of a script with the aliases of its names and the `known` ones."""
    scopes.find_declarations()
    chains = Chains(scopes, values, in_frame=in_frame)
    for (scope, name), meant in known.items():
        chains.add(scope, name, meant)
    AliasFinder(chains).find()
    return chains
