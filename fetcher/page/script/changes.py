"""Finds the addresses that a script gives to the page's location, in all forms of an assignment."""

from collections.abc import Iterator

from fetcher.page.script.calls import is_callback
from fetcher.page.script.chains import TOP, WINDOW, Names
from fetcher.page.script.functions import Path, Value
from fetcher.page.script.occurrence import Occurrence
from fetcher.page.script.tokens import Tokens
from fetcher.page.script.values import BASES

_METHODS = frozenset({"assign", "replace"})
_PARTS = frozenset({"href", "pathname", "search", "host", "hostname", "protocol"})
#: Methods that set the properties of their first argument.
_SETTERS = frozenset({("Reflect", "set"), ("Reflect", "defineProperty"), ("Object", "assign")})
_LOCATIONS: frozenset[Names] = frozenset({("location",), (*TOP, "location")})
_WINDOWS: frozenset[Names] = frozenset({WINDOW, TOP, ("document",), (*TOP, "document")})
#: Maximum number of names before the location in a chain.
_MAX_NAMES = 8
#: Tokens among which a key is searched that count as one step.
_TOKENS_PER_STEP = 16
_LOGICAL = frozenset({"&&", "||", "??"})


def location_changes(occurrence: Occurrence) -> Iterator[Value]:
    """Yield the values that are given to the location that the name means."""
    tokens, after = occurrence.tokens, occurrence.at + 1
    if occurrence.is_in_brackets:
        after += 1
    if tokens.texts[occurrence.at] in BASES:
        after = tokens.matching[after] + 1
    yield from changes_after(occurrence, after)


def changes_after(occurrence: Occurrence, after: int) -> Iterator[Value]:
    """Yield the values that are given to the location that ends before the token."""
    tokens, part = occurrence.tokens, ""
    if tokens.symbol(after) == "." and tokens.is_name(after + 1):
        part, after = tokens.texts[after + 1], after + 2
    elif tokens.symbol(after) == "[" and tokens.matching[after] > 0:
        part, after = occurrence.member_name(after), tokens.matching[after] + 1
        part = part or ("assign" if tokens.symbol(after) == "(" else "href")
    symbol = tokens.symbol(after)
    if part in _METHODS:
        yield from _method_call(occurrence, after)
    elif part and part not in _PARTS:
        return
    elif _is_assignment(tokens, after):
        if tokens.symbol(occurrence.at - 1) in {"let", "const"} or occurrence.is_local_variable:
            return
        value, _ = occurrence.values.expression(after + (1 if symbol in {"=", "+="} else 2))
        is_whole = part in {"", "href"} and symbol != "+="
        yield value if is_whole else occurrence.with_part(part, value, append=symbol == "+=")
    elif symbol in {"]", "}", ","} and _is_in_pattern(tokens, occurrence.at, symbol, after):
        yield None


def _method_call(occurrence: Occurrence, after: int) -> Iterator[Value]:
    """Yield the address of a call of `assign` or `replace` that ends before the token."""
    tokens, values = occurrence.tokens, occurrence.values
    if tokens.symbol(after) == "(":
        yield _first(values.arguments(after))
    elif tokens.symbol(after) == "." and tokens.symbol(after + 2) == "(":
        wrapper, pieces = tokens.symbol(after + 1), values.arguments(after + 2)[1:]
        if wrapper in {"call", "apply"}:
            yield _first_item(pieces)
        elif wrapper == "bind" and pieces:
            yield pieces[0]
        elif wrapper == "bind" and is_callback(tokens, values, occurrence.at):
            yield None
    elif is_callback(tokens, values, occurrence.at):
        yield None


def indirect_changes(occurrence: Occurrence) -> Iterator[Value]:
    """Yield the values that `Reflect` and `Object.assign` give to the location."""
    tokens, chains, values = occurrence.tokens, occurrence.chains, occurrence.values
    name = tokens.texts[occurrence.at]
    if tokens.symbol(occurrence.at + 1) != "." or not tokens.is_name(occurrence.at + 2):
        return
    method, opened = tokens.texts[occurrence.at + 2], occurrence.at + 3
    if tokens.symbol(opened) != "(":
        return
    if (name, method) == ("Reflect", "get"):
        end = tokens.matching[opened] + 1
        meant, _ = chains.chain(occurrence.at, end=end)
        if meant in _LOCATIONS:
            yield from changes_after(occurrence, end)
        elif meant is not None and meant[:-1] in _LOCATIONS:
            yield from _method_call(occurrence, end)
    elif (name, method) == ("Reflect", "apply"):
        meant, _ = chains.chain(opened + 1)
        if meant is not None and meant[:-1] in _LOCATIONS and meant[-1] in _METHODS:
            yield _first_item(values.arguments(opened)[2:])
    elif (name, method) in _SETTERS:
        meant = chains.value(opened + 1)
        wanted = _PARTS if meant in _LOCATIONS else {"location"} if meant in _WINDOWS else set()
        yield from _set_values(occurrence, opened, frozenset(wanted))


def _set_values(occurrence: Occurrence, opened: int, wanted: frozenset[str]) -> Iterator[Value]:
    """Yield the values of the wanted keys: `(object, key, value)` or `(object, {key: value})`."""
    tokens, values = occurrence.tokens, occurrence.values
    key, *rest = [*values.arguments(opened)[1:], None]
    if isinstance(key, str):
        if key in wanted:
            yield rest[0] if rest else None
        return
    end = tokens.matching[opened] if wanted else opened
    values.budget.steps -= (end - opened) // _TOKENS_PER_STEP
    for at in range(opened, end if values.budget.steps > 0 else opened):
        is_key = tokens.symbol(at + 1) == ":" and tokens.texts[at] in wanted
        if is_key and tokens.symbol(at - 1) in {"{", ","}:
            yield values.expression(at + 2)[0]


def open_changes(occurrence: Occurrence) -> Iterator[Value]:
    """Yield the address that `open` loads into the page's own window."""
    targets = {"_top", "_parent"} if occurrence.chains.in_frame else {"_self", "_top", "_parent"}
    pieces = occurrence.arguments
    target = pieces[1] if len(pieces) > 1 else None
    own_name = occurrence.values.resolve(Path(("name",)))
    if isinstance(target, str) and (target.lower() in targets or target == own_name):
        yield pieces[0]


def _is_assignment(tokens: Tokens, at: int) -> bool:
    symbol = tokens.symbol(at)
    return symbol in {"=", "+="} or (symbol in _LOGICAL and tokens.symbol(at + 1) == "=")


def _is_in_pattern(tokens: Tokens, at: int, after: str, end: int) -> bool:
    """Return True if the location is the target in a pattern: `[location] = …`."""
    opened = tokens.enclosing[at]
    if opened < 0 or tokens.symbol(tokens.matching[opened] + 1) != "=" or end <= at:
        return False
    if tokens.symbol(opened) == "[":
        is_index = tokens.is_name(opened - 1) or tokens.symbol(opened - 1) in {")", "]"}
        return not is_index and after != "}"
    begin = at
    for _ in range(_MAX_NAMES):
        if tokens.symbol(begin - 1) != "." or not tokens.is_name(begin - 2):
            break
        begin -= 2
    return tokens.symbol(opened) == "{" and tokens.symbol(begin - 1) == ":"


def _first(values: list[Value]) -> Value:
    return next(iter(values), None)


def _first_item(values: list[Value]) -> Value:
    """Return the first value, or the first one of the list that is the first value."""
    value = _first(values)
    return next(iter(value), None) if isinstance(value, list) else value
