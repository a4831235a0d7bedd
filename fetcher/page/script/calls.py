"""Determines which functions of a script run while the page loads, and which need a click."""

import math
import re

from fetcher.page.script.events import OWN_EVENTS, find_events, receiver
from fetcher.page.script.functions import Path
from fetcher.page.script.scopes import Function, Scopes
from fetcher.page.script.tokens import Kind, Tokens
from fetcher.page.script.values import BASES, Evaluator

#: Functions that call their first argument later, after the time in their second argument.
TIMERS = frozenset({"setTimeout", "setInterval"})
#: Functions that call their argument at once or when the page has loaded.
_RUNNERS = frozenset(
    {
        *("requestAnimationFrame", "requestIdleCallback", "queueMicrotask", "setImmediate"),
        *("ready", "then", "finally", "forEach", "map", "Promise", "each", "$", "jQuery"),
        *("filter", "some", "every", "reduce", "sort", "flatMap", "from", "find", "findIndex"),
        *("catch", "replace", "replaceAll", "parse", "stringify", "apply", "construct"),
        *("MutationObserver", "IntersectionObserver", "ResizeObserver", "PerformanceObserver"),
        *("reduceRight", "findLast", "findLastIndex", "postTask", "startViewTransition"),
    }
)
_LISTENERS = frozenset({"addEventListener", "attachEvent", "on", "one", "bind"})
_LOAD_EVENTS = frozenset(
    {"load", "onload", "DOMContentLoaded", "pageshow", "readystatechange", "onreadystatechange"}
)
#: Properties and attributes whose functions run without input.
LOAD_HANDLERS = frozenset({"onload", "onpageshow", "onreadystatechange", "onerror"})
#: Maximum number of parameters of a function that are bound.
_MAX_BOUND = 16
_CALLED = re.compile(r"(?<![\w$])([\w$]++)\s*+\(")
#: Characters of a text that is evaluated as a script in which function calls are searched.
_MAX_CALLED = 1024
_ACCESSORS = frozenset({"get", "set"})
#: Methods that the language or the browser calls by itself.
_IMPLICIT = frozenset(
    {"connectedCallback", "toString", "valueOf", "toJSON", "then", "attributeChangedCallback"}
)
#: Functions in an object that is an argument of these calls, and that are called by access.
_TRAPS = frozenset({"get", "set", "has", "apply", "construct", "ownKeys"})
_WITH_TRAPS = frozenset({"Proxy", "defineProperty", "create"})
_WRAPPERS = frozenset({"call", "apply", "bind"})


class CallGraph:
    """Which functions of a script run without input."""

    __slots__ = ("functions", "owners", "scopes", "tokens")

    def __init__(self, scopes: Scopes) -> None:
        """Create a graph in which no function runs."""
        self.scopes, self.tokens = scopes, scopes.tokens
        self.functions, self.owners = scopes.functions, scopes.owners

    def runs(self, at: int) -> bool:
        """Return True if a token runs during loading or later, without a click."""
        owner = self.owners[at]
        return owner < 0 or self.functions[owner].is_live

    def delay_s(self, at: int) -> float:
        """Return the delay in seconds after which a token runs, by the timers around it."""
        owner = self.owners[at]
        return self.functions[owner].delay_s if owner >= 0 else 0.0


def build_call_graph(scopes: Scopes, values: Evaluator) -> CallGraph:
    """Return the functions, with those marked that run without input."""
    calls, tokens = CallGraph(scopes), scopes.tokens
    values.sent = find_events(tokens, values)
    by_name: dict[str, list[int]] = {}
    #: What the code of a function runs: functions by name, or a function itself by its index.
    uses: dict[int, dict[str | int, float]] = {}
    for index, function in enumerate(calls.functions):
        for name in function.names:
            by_name.setdefault(name, []).append(index)
        delay = _immediate_delay(tokens, values, function)
        if delay is not None:
            uses.setdefault(function.owner, {})[index] = delay
    accessors = _accessors(calls)
    for at, kind in enumerate(tokens.kinds):
        if kind is not Kind.NAME and kind is not Kind.STRING:
            continue
        for name in filter(by_name.__contains__, _used_names(tokens, at)):
            is_access = name in accessors and _is_accessed(tokens, at)
            delay = 0.0 if is_access else _reference_delay(tokens, values, at)
            if delay is not None:
                uses.setdefault(calls.owners[at], {}).setdefault(name, delay)
                if tokens.symbol(at + 1) == "(":
                    bind(tokens, values, calls.functions[by_name[name][0]], at + 1)
    _mark_live(calls, uses, by_name)
    return calls


def _accessors(calls: CallGraph) -> set[str]:
    """Return the names of the properties whose functions are called by access."""
    tokens = calls.tokens
    return {
        name
        for function in calls.functions
        if tokens.symbol(function.head - 1) in _ACCESSORS
        for name in function.names
    }


def _is_accessed(tokens: Tokens, at: int) -> bool:
    """Return True if the name is a member of an object, or is taken from one: `{name} = object`."""
    if tokens.symbol(at - 1) == ".":
        return True
    opened = tokens.enclosing[at]
    is_taken = tokens.symbol(at - 1) in {"{", ","} and tokens.symbol(opened) == "{"
    return is_taken and tokens.symbol(tokens.matching[opened] + 1) == "="


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


def _immediate_delay(tokens: Tokens, values: Evaluator, function: Function) -> float | None:
    """Return the delay of a function that runs where it is defined, else None."""
    if _is_implicit(tokens, function):
        return 0.0
    after = function.end
    while tokens.symbol(after) == ")" and 0 <= tokens.matching[after] < function.head:
        opened = tokens.matching[after]
        if tokens.is_name(opened - 1) and tokens.symbol(opened - 1) not in {"return", "void"}:
            break
        after += 1
        values.budget.steps -= 1
        if values.budget.steps < 0:
            return None
    if tokens.symbol(after) in {"]", ","} and _is_indexed_call(tokens, function.head):
        return 0.0
    is_wrapped = tokens.symbol(after) == "." and tokens.symbol(after + 1) in _WRAPPERS
    is_arrow = tokens.symbol(function.start - 1) == "=>" and after == function.end
    if is_wrapped or (tokens.symbol(after) == "(" and not is_arrow):
        if not is_wrapped:
            bind(tokens, values, function, after)
        return 0.0
    return _callback_delay(tokens, values, function.head, function.end)


def _is_implicit(tokens: Tokens, function: Function) -> bool:
    """Return True if the language or the browser calls a function with this name."""
    if not function.names.isdisjoint(_IMPLICIT):
        return True
    if function.names.isdisjoint(_TRAPS):
        return False
    opened = tokens.enclosing[function.head]
    outer = tokens.enclosing[opened] if opened >= 0 else -1
    return tokens.symbol(outer) == "(" and tokens.symbol(outer - 1) in _WITH_TRAPS


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


def is_callback(tokens: Tokens, values: Evaluator, head: int) -> bool:
    """Return True if the chain of names at the token is given to what calls it."""
    for _ in range(_MAX_BOUND):
        if tokens.symbol(head - 1) != "." or not tokens.is_name(head - 2):
            break
        head -= 2
    return _callback_delay(tokens, values, head, head) is not None


def _callback_delay(tokens: Tokens, values: Evaluator, head: int, end: int) -> float | None:
    """Return the delay of a function that is an argument or an event handler, else None."""
    if tokens.symbol(head - 1) == "async":
        head -= 1
    before = tokens.symbol(head - 1)
    if before in {"=", ":"}:
        name = tokens.symbol(head - 2)
        if name in LOAD_HANDLERS or (name.startswith("on") and name[2:] in OWN_EVENTS):
            return 0.0
        is_sent = name.startswith("on") and values.sent.runs(
            name[2:], receiver(tokens, values, head - 2)
        )
        return 0.0 if is_sent else None
    opened = tokens.enclosing[head]
    if before not in {"(", ","} or tokens.symbol(opened) != "(":
        return None
    callee = tokens.symbol(opened - 1)
    if callee in TIMERS:
        return delay_at(tokens, values, end)
    if callee in _RUNNERS:
        return 0.0
    return 0.0 if _is_listener_that_runs(tokens, values, opened) else None


def _is_listener_that_runs(tokens: Tokens, values: Evaluator, opened: int) -> bool:
    """Return True if the call adds a listener to an event that needs no input."""
    callee = tokens.symbol(opened - 1)
    if callee in _LISTENERS:
        event, _ = values.expression(opened + 1)
    else:
        event = callee if tokens.symbol(opened - 2) == "." else None
    if not isinstance(event, str) or not event:
        return False
    is_load = callee in _LISTENERS and (event in _LOAD_EVENTS or event in OWN_EVENTS)
    return is_load or values.sent.runs(event, receiver(tokens, values, opened - 1))


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
    if before in {"new", "extends"} or _is_called_indirectly(tokens, at):
        return 0.0
    if tokens.symbol(at + 1) == "(":
        closed = tokens.matching[at + 1]
        return None if tokens.symbol(closed + 1) == "{" else 0.0
    if before == "." and tokens.symbol(at - 2) in BASES:
        return _callback_delay(tokens, values, at - 2, at + 1)
    return _callback_delay(tokens, values, at, at + 1)


def _is_called_indirectly(tokens: Tokens, at: int) -> bool:
    """Return True if the name is called as `name.call()` or `name[index]()`."""
    if tokens.symbol(at + 1) == ".":
        return tokens.symbol(at + 2) in {"call", "apply"} and tokens.symbol(at + 3) == "("
    closed = tokens.matching[at + 1] if tokens.symbol(at + 1) == "[" else -1
    return closed > at and tokens.symbol(closed + 1) == "("


def _is_indexed_call(tokens: Tokens, at: int) -> bool:
    """Return True if the token is in a list of which an item is called: `[f, g][0]()`."""
    opened = tokens.enclosing[at]
    if tokens.symbol(opened) != "[" or tokens.symbol(tokens.matching[opened] + 1) != "[":
        return False
    closed = tokens.matching[tokens.matching[opened] + 1]
    return tokens.symbol(closed + 1) == "("
