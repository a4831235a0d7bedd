"""Determines which functions of a script run while the page loads, and which need a click."""

import math
import re
from dataclasses import dataclass, field

from fetcher.page.script.functions import Path
from fetcher.page.script.tokens import Kind, Tokens
from fetcher.page.script.values import BASES, Evaluator

#: Functions that call their first argument later, after the time in their second argument.
TIMERS = frozenset({"setTimeout", "setInterval"})
#: Functions that call their argument at once or when the page has loaded.
_RUNNERS = frozenset(
    {
        *("requestAnimationFrame", "requestIdleCallback", "queueMicrotask", "setImmediate"),
        *("ready", "then", "finally", "forEach", "map", "Promise", "each", "$", "jQuery"),
        *("filter", "some", "every", "reduce", "sort", "flatMap", "from"),
        *("MutationObserver", "IntersectionObserver", "ResizeObserver"),
    }
)
_LISTENERS = frozenset({"addEventListener", "attachEvent", "on", "one", "bind"})
_LOAD_EVENTS = frozenset(
    {"load", "onload", "DOMContentLoaded", "pageshow", "readystatechange", "onreadystatechange"}
)
#: Properties and attributes whose functions run without input.
LOAD_HANDLERS = frozenset({"onload", "onpageshow", "onreadystatechange", "onerror"})
#: Keywords before parentheses after which a block is not a function body.
_CONTROL = frozenset({"if", "for", "while", "switch", "catch", "with"})
#: Maximum number of parameters of a function that are bound.
_MAX_BOUND = 16
_CALLED = re.compile(r"([\w$]+)\s*\(")
#: Characters of a text that is evaluated as a script in which function calls are searched.
_MAX_CALLED = 1024
_WRAPPERS = frozenset({"call", "apply", "bind"})


@dataclass(slots=True)
class Function:
    """A function, its position in the code, and whether it runs without input."""

    #: Its first token, and the tokens of its body; the end is exclusive.
    head: int
    start: int
    end: int
    names: frozenset[str] = frozenset()
    #: The function that contains it; -1 if there is none.
    owner: int = -1
    is_live: bool = False
    delay_s: float = 0.0


@dataclass(slots=True)
class CallGraph:
    """The functions of one script; `owners` is the innermost function around each token."""

    tokens: Tokens
    functions: list[Function] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)

    def runs(self, at: int) -> bool:
        """Return True if a token runs during loading or later, without a click."""
        owner = self.owners[at]
        return owner < 0 or self.functions[owner].is_live

    def delay_s(self, at: int) -> float:
        """Return the delay in seconds after which a token runs, by the timers around it."""
        owner = self.owners[at]
        return self.functions[owner].delay_s if owner >= 0 else 0.0


def build_call_graph(tokens: Tokens, values: Evaluator) -> CallGraph:
    """Return the functions, with those marked that run without input."""
    calls = CallGraph(tokens, _functions(tokens))
    _set_owners(calls)
    by_name: dict[str, list[int]] = {}
    #: What the code of a function runs: functions by name, or a function itself by its index.
    uses: dict[int, dict[str | int, float]] = {}
    for index, function in enumerate(calls.functions):
        for name in function.names:
            by_name.setdefault(name, []).append(index)
        delay = _immediate_delay(tokens, values, function)
        if delay is not None:
            uses.setdefault(function.owner, {})[index] = delay
    for at, kind in enumerate(tokens.kinds):
        if kind is not Kind.NAME and kind is not Kind.STRING:
            continue
        for name in _used_names(tokens, at):
            if name not in by_name:
                continue
            delay = _reference_delay(tokens, values, at)
            if delay is not None:
                uses.setdefault(calls.owners[at], {}).setdefault(name, delay)
                if tokens.symbol(at + 1) == "(":
                    bind(tokens, values, calls.functions[by_name[name][0]], at + 1)
    _mark_live(calls, uses, by_name)
    return calls


def _used_names(tokens: Tokens, at: int) -> list[str]:
    """Return the name at the token, or the names that the text of a timer or of `eval` calls."""
    text = tokens.string(at)
    if text is None:
        return [tokens.texts[at]]
    callee = tokens.symbol(tokens.enclosing[at] - 1) if tokens.symbol(at - 1) == "(" else ""
    return _CALLED.findall(text[:_MAX_CALLED]) if callee in TIMERS | {"eval"} else []


def _mark_live(
    calls: CallGraph, uses: dict[int, dict[str | int, float]], by_name: dict[str, list[int]]
) -> None:
    """Mark all functions that marked functions run, directly or indirectly."""
    fresh = [(-1, 0.0)]
    while fresh:
        owner, since = fresh.pop()
        for used, delay in uses.pop(owner, {}).items():
            # Each name is processed once: only its first call counts.
            for index in by_name.pop(used, []) if isinstance(used, str) else [used]:
                function = calls.functions[index]
                if not function.is_live:
                    function.is_live, function.delay_s = True, since + delay
                    fresh.append((index, function.delay_s))


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
    return Function(name, brace, end, frozenset({word}))


def _names_before(tokens: Tokens, head: int) -> frozenset[str]:
    """Return the name that a function is assigned to."""
    head = head - 1 if tokens.symbol(head - 1) == "async" else head
    at = head - 2
    if tokens.symbol(head - 1) in {"=", ":"} and tokens.is_name(at):
        return frozenset({tokens.texts[at]})
    return frozenset()


def _set_owners(calls: CallGraph) -> None:
    """Set the innermost function around each token and around each function."""
    calls.owners = [-1] * len(calls.tokens)
    # In the order of their starts, outer functions come before inner ones.
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


def _immediate_delay(tokens: Tokens, values: Evaluator, function: Function) -> float | None:
    """Return the delay of a function that runs where it is defined, else None."""
    after = function.end
    while tokens.symbol(after) == ")" and 0 <= tokens.matching[after] < function.head:
        opened = tokens.matching[after]
        if tokens.is_name(opened - 1) and tokens.symbol(opened - 1) not in {"return", "void"}:
            break
        after += 1
    is_wrapped = tokens.symbol(after) == "." and tokens.symbol(after + 1) in _WRAPPERS
    is_arrow = tokens.symbol(function.start - 1) == "=>" and after == function.end
    if is_wrapped or (tokens.symbol(after) == "(" and not is_arrow):
        if not is_wrapped:
            bind(tokens, values, function, after)
        return 0.0
    return _callback_delay(tokens, values, function.head, function.end)


def bind(tokens: Tokens, values: Evaluator, function: Function, opened: int) -> None:
    """Set the values of a function's parameters from a call, unless other values are known."""
    before = function.start - 1
    closed = before - 1 if tokens.symbol(before) == "=>" else before
    if tokens.symbol(closed) != ")" or tokens.matching[closed] < 0 or not values.budget.steps > 0:
        return
    inside = range(
        tokens.matching[closed] + 1, min(closed, tokens.matching[closed] + 4 * _MAX_BOUND)
    )
    names = [at for at in inside if tokens.symbol(at - 1) in {"(", ","} and tokens.is_name(at)]
    found = values.arguments(opened) if names else []
    first = Path((tokens.symbol(opened + 1),)) if tokens.symbol(opened + 1) in BASES else None
    for at, value in zip(names[:_MAX_BOUND], found, strict=False):
        given = first if value is None and at == names[0] else value
        if given is not None:
            values.final_values.setdefault(tokens.texts[at], given)


def _callback_delay(tokens: Tokens, values: Evaluator, head: int, end: int) -> float | None:
    """Return the delay of a function that is an argument or an event handler, else None."""
    before = tokens.symbol(head - 1)
    if before == "async":
        return _callback_delay(tokens, values, head - 1, end)
    if before in {"=", ":"}:
        return 0.0 if tokens.symbol(head - 2) in LOAD_HANDLERS else None
    opened = tokens.enclosing[head]
    if before not in {"(", ","} or tokens.symbol(opened) != "(":
        return None
    callee = tokens.symbol(opened - 1)
    if callee in TIMERS:
        return delay_at(tokens, values, end)
    if callee in _RUNNERS:
        return 0.0
    is_load = callee in _LISTENERS and tokens.string(opened + 1) in _LOAD_EVENTS
    return 0.0 if is_load else None


def delay_at(tokens: Tokens, values: Evaluator, comma: int) -> float:
    """Return the seconds in the second argument of a timer."""
    if tokens.symbol(comma) != ",":
        return 0.0
    value, _ = values.expression(comma + 1)
    if not isinstance(value, float) or not math.isfinite(value):
        return 0.0  # as in browsers
    return min(max(value, 0.0), 1e9) / 1000


def _reference_delay(tokens: Tokens, values: Evaluator, at: int) -> float | None:
    """Return the delay after which a reference runs the function; None if it does not run it."""
    before = tokens.symbol(at - 1)
    if before == "function" or (before == "*" and tokens.symbol(at - 2) == "function"):
        return None
    if tokens.string(at) is not None:
        return delay_at(tokens, values, at + 1)
    if tokens.symbol(at + 1) == "(":
        closed = tokens.matching[at + 1]
        return None if tokens.symbol(closed + 1) == "{" else 0.0
    if before == "." and tokens.symbol(at - 2) in BASES:
        return _callback_delay(tokens, values, at - 2, at + 1)
    return _callback_delay(tokens, values, at, at + 1)
