"""Finds which functions of a script run while the page loads, and which wait for a click."""

import math
import re
from dataclasses import dataclass, field

from fetcher.page.script_functions import Path
from fetcher.page.script_tokens import Tokens
from fetcher.page.script_values import BASES, Values

#: Functions whose functions run later by themselves, after as long as their second argument says.
TIMERS = frozenset({"setTimeout", "setInterval"})
#: Functions that run the function they are given, at once or when the page is there.
_RUNNERS = frozenset(
    {
        *("requestAnimationFrame", "requestIdleCallback", "queueMicrotask", "setImmediate"),
        *("ready", "then", "finally", "forEach", "map", "Promise", "each", "$", "jQuery"),
    }
)
_LISTENERS = frozenset({"addEventListener", "attachEvent", "on", "one", "bind"})
_LOAD_EVENTS = frozenset(
    {"load", "onload", "DOMContentLoaded", "pageshow", "readystatechange", "onreadystatechange"}
)
#: Properties and attributes whose functions run by themselves.
LOAD_HANDLERS = frozenset({"onload", "onpageshow", "onreadystatechange", "onerror"})
#: Words before brackets after which a block is no function.
_CONTROL = frozenset({"if", "for", "while", "switch", "catch", "with"})
#: Parameters of one function that are looked at.
_MAX_BOUND = 16
_CALLED = re.compile(r"([\w$]+)\s*\(")
#: Characters of a text that is run as a script in which calls of functions are looked for.
_MAX_CALLED = 1024
_WRAPPERS = frozenset({"call", "apply", "bind"})


@dataclass(slots=True)
class Function:
    """A function: where it is written, and whether it runs by itself."""

    #: Its first token, and those of its body; the end is exclusive.
    head: int
    start: int
    end: int
    names: frozenset[str] = frozenset()
    #: The function that it is written in; -1 for none.
    owner: int = -1
    is_live: bool = False
    delay_s: float = 0.0


@dataclass(slots=True)
class Calls:
    """The functions of one script; `owners` names the innermost one around each token."""

    tokens: Tokens
    functions: list[Function] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    def runs(self, at: int) -> bool:
        """Tell whether a token runs while the page loads or after it, without a click."""
        owner = self.owners[at]
        return owner < 0 or self.functions[owner].is_live

    def delay_s(self, at: int) -> float:
        """Return after how many seconds it runs, as far as timers say."""
        owner = self.owners[at]
        return self.functions[owner].delay_s if owner >= 0 else 0.0


def find_calls(tokens: Tokens, values: Values) -> Calls:
    """Return the functions, those marked live that run by themselves."""
    calls = Calls(tokens, _functions(tokens))
    _own(calls)
    by_name: dict[str, list[int]] = {}
    #: What runs if the code of a function does: names, or the function itself by its number.
    waiting: dict[int, dict[str | int, float]] = {}
    for index, function in enumerate(calls.functions):
        for name in function.names:
            by_name.setdefault(name, []).append(index)
        delay = _own_delay(tokens, values, function)
        if delay is not None:
            waiting.setdefault(function.owner, {})[index] = delay
    for at in range(len(tokens)):
        for name in _used_names(tokens, at):
            if name not in by_name:
                continue
            delay = _use_delay(tokens, values, at)
            if delay is not None:
                waiting.setdefault(calls.owners[at], {}).setdefault(name, delay)
                if tokens.sign(at + 1) == "(":
                    bind(tokens, values, calls.functions[by_name[name][0]], at + 1)
    _spread(calls, waiting, by_name)
    return calls


def _used_names(tokens: Tokens, at: int) -> list[str]:
    """Return the name that stands there, or those that a timer's or `eval`'s text calls."""
    text = tokens.string(at)
    if text is None:
        return [tokens.texts[at]] if tokens.is_name(at) else []
    callee = tokens.sign(tokens.around[at] - 1) if tokens.sign(at - 1) == "(" else ""
    return _CALLED.findall(text[:_MAX_CALLED]) if callee in TIMERS | {"eval"} else []


def _spread(
    calls: Calls, waiting: dict[int, dict[str | int, float]], by_name: dict[str, list[int]]
) -> None:
    """Mark as live what live code runs, until nothing is new."""
    fresh = [(-1, 0.0)]
    while fresh:
        owner, since = fresh.pop()
        for used, delay in waiting.pop(owner, {}).items():
            # Once is enough: what has a name runs wherever it is called first.
            for index in by_name.pop(used, []) if isinstance(used, str) else [used]:
                function = calls.functions[index]
                if not function.is_live:
                    function.is_live, function.delay_s = True, since + delay
                    fresh.append((index, function.delay_s))


def _functions(tokens: Tokens) -> list[Function]:
    found: list[Function] = []
    ends: dict[int, int] = {}
    for at in range(len(tokens) - 1, -1, -1):
        sign = tokens.sign(at)
        if sign == "=>":
            end = ends[at] = _arrow_end(tokens, at, ends)
            before = tokens.mate[at - 1] if tokens.sign(at - 1) == ")" else at - 1
            head = before - 1 if tokens.sign(before - 1) == "async" else before
            found.append(Function(head, at + 1, end, _names_before(tokens, head)))
        elif sign == "{" and tokens.sign(at - 1) == ")" and tokens.mate[at - 1] > 0:
            function = _named_body(tokens, at)
            found += [function] if function else []
    return found[::-1]


def _arrow_end(tokens: Tokens, at: int, ends: dict[int, int]) -> int:
    """Return where an arrow function ends; `ends` holds those of the arrows behind it."""
    if tokens.sign(at + 1) == "{":
        return tokens.mate[at + 1] + 1
    index = at + 1
    while index < len(tokens) and tokens.sign(index) not in {",", ";", ")", "]", "}"}:
        if index in ends:
            return ends[index]
        mate = tokens.mate[index]
        index = mate + 1 if mate > index else index + 1
    return index


def _named_body(tokens: Tokens, brace: int) -> Function | None:
    """Return the function whose body the brace opens; None where it is a block."""
    name = tokens.mate[brace - 1] - 1
    end = tokens.mate[brace] + 1
    word = tokens.sign(name)
    if word in {"function", "*"}:
        head = name - 1 if word == "*" else name
        return Function(head, brace, end, _names_before(tokens, head))
    if not tokens.is_name(name) or word in _CONTROL:
        return None
    before = name - 2 if tokens.sign(name - 1) == "*" else name - 1
    if tokens.sign(before) == "function":
        return Function(before, brace, end, frozenset({word}) | _names_before(tokens, before))
    return Function(name, brace, end, frozenset({word}))


def _names_before(tokens: Tokens, head: int) -> frozenset[str]:
    """Return the name that a function is assigned to."""
    head = head - 1 if tokens.sign(head - 1) == "async" else head
    at = head - 2
    if tokens.sign(head - 1) in {"=", ":"} and tokens.is_name(at):
        return frozenset({tokens.texts[at]})
    return frozenset()


def _own(calls: Calls) -> None:
    """Find the innermost function around each token, and around each function."""
    calls.owners = [-1] * len(calls.tokens)
    # Outer functions come first where they are sorted by their start: inner ones write over them.
    order = sorted(range(len(calls.functions)), key=lambda index: calls.functions[index].start)
    stack: list[int] = []
    pending = iter(order)
    upcoming = next(pending, None)
    for at in range(len(calls.tokens)):
        while stack and calls.functions[stack[-1]].end <= at:
            stack.pop()
        while upcoming is not None and calls.functions[upcoming].start == at:
            calls.functions[upcoming].owner = stack[-1] if stack else -1
            stack.append(upcoming)
            upcoming = next(pending, None)
        calls.owners[at] = stack[-1] if stack else -1


def _own_delay(tokens: Tokens, values: Values, function: Function) -> float | None:
    """Return after how long a function runs where it stands; None where it does not."""
    after = function.end
    while tokens.sign(after) == ")" and 0 <= tokens.mate[after] < function.head:
        opened = tokens.mate[after]
        if tokens.is_name(opened - 1) and tokens.sign(opened - 1) not in {"return", "void"}:
            break
        after += 1
    is_wrapped = tokens.sign(after) == "." and tokens.sign(after + 1) in _WRAPPERS
    is_arrow = tokens.sign(function.start - 1) == "=>" and after == function.end
    if is_wrapped or (tokens.sign(after) == "(" and not is_arrow):
        if not is_wrapped:
            bind(tokens, values, function, after)
        return 0.0
    return _given_delay(tokens, values, function.head, function.end)


def bind(tokens: Tokens, values: Values, function: Function, opened: int) -> None:
    """Note what a function's parameters are at a call, where nothing else is known of them."""
    before = function.start - 1
    closed = before - 1 if tokens.sign(before) == "=>" else before
    if tokens.sign(closed) != ")" or tokens.mate[closed] < 0 or not values.budget.steps > 0:
        return
    inside = range(tokens.mate[closed] + 1, min(closed, tokens.mate[closed] + 4 * _MAX_BOUND))
    names = [at for at in inside if tokens.sign(at - 1) in {"(", ","} and tokens.is_name(at)]
    found = values.arguments(opened) if names else []
    first = Path((tokens.sign(opened + 1),)) if tokens.sign(opened + 1) in BASES else None
    for at, value in zip(names[:_MAX_BOUND], found, strict=False):
        given = first if value is None and at == names[0] else value
        if given is not None:
            values.finally_known.setdefault(tokens.texts[at], given)


def _given_delay(tokens: Tokens, values: Values, head: int, end: int) -> float | None:
    """Return after how long a function runs that is given to another, or to an event."""
    before = tokens.sign(head - 1)
    if before == "async":
        return _given_delay(tokens, values, head - 1, end)
    if before in {"=", ":"}:
        return 0.0 if tokens.sign(head - 2) in LOAD_HANDLERS else None
    opened = tokens.around[head]
    if before not in {"(", ","} or tokens.sign(opened) != "(":
        return None
    callee = tokens.sign(opened - 1)
    if callee in TIMERS:
        return delay_at(tokens, values, end)
    if callee in _RUNNERS:
        return 0.0
    is_load = callee in _LISTENERS and tokens.string(opened + 1) in _LOAD_EVENTS
    return 0.0 if is_load else None


def delay_at(tokens: Tokens, values: Values, comma: int) -> float:
    """Return the seconds that a timer's second argument says."""
    if tokens.sign(comma) != ",":
        return 0.0
    value, _ = values.expression(comma + 1)
    if not isinstance(value, float) or not math.isfinite(value):
        return 0.0  # what is no number, or endless, is no delay to browsers either
    return min(max(value, 0.0), 1e9) / 1000


def _use_delay(tokens: Tokens, values: Values, at: int) -> float | None:
    """Return after how long a function's name there makes it run; None where it does not."""
    before = tokens.sign(at - 1)
    if before == "function" or (before == "*" and tokens.sign(at - 2) == "function"):
        return None
    if tokens.string(at) is not None:
        return delay_at(tokens, values, at + 1)
    if tokens.sign(at + 1) == "(":
        closed = tokens.mate[at + 1]
        return None if tokens.sign(closed + 1) == "{" else 0.0
    if before == "." and tokens.sign(at - 2) in BASES:
        return _given_delay(tokens, values, at - 2, at + 1)
    return _given_delay(tokens, values, at, at + 1)
