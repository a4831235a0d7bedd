"""Finds the navigations of a page's scripts without executing them.

Literals and the results of a few functions are evaluated. Code that needs a click is ignored.
Tokens and steps are limited, not time, so that the same page always has the same result.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from urllib.parse import unquote

from fetcher.page.script.aliases import expand, find_aliases
from fetcher.page.script.calls import LOAD_HANDLERS, TIMERS, build_call_graph, delay_at
from fetcher.page.script.chains import Aliases
from fetcher.page.script.functions import Path, Prefix, Value
from fetcher.page.script.occurrence import Occurrence
from fetcher.page.script.scopes import Scopes
from fetcher.page.script.tokens import Tokens, tokenize
from fetcher.page.script.values import BASES, Budget, Evaluator
from fetcher.sanitize import strip_reference

#: Maximum number of tokens of all scripts of a page; two of 1,257 ordinary pages have more.
_MAX_TOKENS = 160_000
_MAX_NESTED = 4
_MAX_NAVIGATIONS = 16
_OWN_WINDOWS = frozenset({"_self", "_top", "_parent"})
_METHODS = frozenset({"assign", "replace"})
_PARTS = frozenset({"href", "pathname", "search", "host", "hostname", "protocol"})
#: Properties that parse a text into elements.
_HTML = frozenset({"innerHTML", "outerHTML"})
_WRITE_METHODS = frozenset({"write", "writeln"})
#: Properties of a script element that are its code.
_CODE = frozenset({"text", "textContent", "innerText", "innerHTML"})
#: Attributes that are also properties.
_ATTRIBUTES = frozenset({"href", "action", "content"})
_REFRESH = re.compile(r"\s*+[0-9.]++\s*+[;,\s]\s*+\S")
_SUBMIT_METHODS = frozenset({"submit", "requestSubmit"})
#: Functions that evaluate a text as a script.
_EVALUATING = frozenset({"eval", "execScript", "Function", "constructor", *TIMERS})
#: Names that may navigate, write or evaluate; of the other names only aliases may.
_RELEVANT = frozenset(
    {"location", "open", "navigate", "click", "insertAdjacentHTML", "createContextualFragment"}
    | {"setAttribute", "content", *_CODE}
    | (BASES | _HTML | _WRITE_METHODS | _SUBMIT_METHODS | _EVALUATING)
)
_ASSIGNMENTS = frozenset({"=", "+=", ":"})
#: Maximum number of characters that are kept of consecutive writes.
_MAX_WRITTEN = 256 * 1024


@dataclass(frozen=True, slots=True)
class ScriptNavigation:
    """A navigation that a script makes without input."""

    #: As written; only the known beginning if the rest is unknown, empty if nothing is known.
    url: str
    delay_s: float = 0.0
    #: True if a form is submitted; then `form` is its id, name or index if that is known.
    is_form: bool = False
    form: str | int = ""
    #: True if the navigation depends on a condition in the script.
    is_conditional: bool = False


@dataclass(slots=True)
class ScriptReader:
    """Reads the scripts of one page, within limits for all of them."""

    page_url: str
    navigations: list[ScriptNavigation] = field(default_factory=list)
    #: Targets of links by id.
    links: Mapping[str, str] = field(default_factory=dict)
    #: True if the scripts are those of a frame: they must name the page's window.
    in_frame: bool = False
    #: HTML that scripts write during parsing; consecutive writes are one text.
    written: list[str] = field(default_factory=list)
    #: HTML that scripts insert in other ways.
    inserted: list[str] = field(default_factory=list)
    _budget: Budget = field(default_factory=Budget)
    _tokens_left: int = _MAX_TOKENS
    _known: dict[str, Value] = field(default_factory=dict)
    #: Global variables that are other names of the location and its like.
    _aliases: Aliases = field(default_factory=dict)
    _is_writing: bool = False
    #: True if something was too long or too deeply nested to be read.
    is_truncated: bool = False

    def read(self, *codes: str, delay_s: float = 0.0, nested: int = 0) -> None:
        """Read scripts that share their variables and functions."""
        if nested > _MAX_NESTED or self._budget.steps <= 0:
            self.is_truncated = True
            return
        tokens = Tokens()
        for code in codes:
            more, end = tokenize(code, self._tokens_left)
            self._tokens_left -= len(more)
            self.is_truncated = self.is_truncated or end < len(code)
            tokens.extend(more)
        scopes = Scopes(tokens)
        values = Evaluator(tokens, self.page_url, self._budget, dict(self._known))
        chains = find_aliases(scopes, values, self._aliases, in_frame=self.in_frame)
        if chains.aliases:
            self._aliases |= {key: meant for key, meant in chains.aliases.items() if key[0] < 0}
            tokens = expand(chains)
            scopes = Scopes(tokens)
            values = Evaluator(tokens, self.page_url, self._budget, dict(self._known))
        assigned = dict.fromkeys(_assigned_names(tokens))
        for at in assigned:
            _assign(tokens, values, at)
        values.final_values, values.known = values.known, dict(self._known)
        calls = build_call_graph(scopes, values)
        for at, name in enumerate(tokens.texts):
            if at in assigned:
                _assign(tokens, values, at)
            # The interpretation of a name may add aliases.
            is_relevant = name in _RELEVANT or (-1, name) in self._aliases
            if is_relevant and tokens.is_name(at) and calls.runs(at):
                self._interpret(Occurrence(tokens, values, calls, at, delay_s, nested))
        self._known = values.final_values
        self.is_truncated = self.is_truncated or self._budget.steps <= 0

    def _interpret(self, occurrence: Occurrence) -> None:
        """Interpret a name that may navigate or that evaluates a text as a script."""
        name = occurrence.tokens.texts[occurrence.at]
        if self._is_location(occurrence, name):
            self._find_location_change(occurrence)
        elif name == "open" and occurrence.is_global and occurrence.is_called:
            second = occurrence.arguments[1:2]
            if second and str(second[0]).lower() in _OWN_WINDOWS:
                self._navigate(occurrence, occurrence.arguments[0])
        elif (
            name == "navigate"
            and occurrence.is_called
            and occurrence.tokens.symbol(occurrence.at - 2) == "navigation"
        ):
            self._navigate(occurrence, next(iter(occurrence.arguments), None))
        elif name in _SUBMIT_METHODS and occurrence.is_method and occurrence.is_called:
            # `submit` with an argument is another library's method.
            if name == "requestSubmit" or not occurrence.arguments:
                self._submit(occurrence)
        elif (
            name == "click"
            and occurrence.is_method
            and occurrence.is_called
            and not occurrence.arguments
        ):
            self._click(occurrence)
        else:
            self._interpret_content(occurrence, name)

    def _interpret_content(self, occurrence: Occurrence, name: str) -> None:
        """Interpret a name that evaluates a text or makes elements of it."""
        if name in _EVALUATING and (occurrence.is_called or occurrence.is_called_in_brackets):
            self._read_nested(occurrence, name)
        elif name == "setAttribute":
            self._set_attribute(occurrence)
        elif not self._set_property(occurrence, name):
            self._find_markup(occurrence, name)

    def _set_attribute(self, occurrence: Occurrence) -> None:
        """Interpret `element.setAttribute(name, value)` as `element.name = value`."""
        match occurrence.arguments if occurrence.is_method else []:
            case [str(name), str(value)] if name in LOAD_HANDLERS:
                self.read(value, delay_s=occurrence.delay_s, nested=occurrence.nested + 1)
            case [str(name), str(value)] if name in _ATTRIBUTES:
                owner = occurrence.tokens.symbol(occurrence.at - 2)
                occurrence.values.final_values[f"{owner}.{name}"] = value
                self._set_element(occurrence, name, value)
            case _:
                pass

    def _set_property(self, occurrence: Occurrence, name: str) -> bool:
        """Return True if the name is set of an element that the script has made."""
        if not occurrence.is_method or occurrence.tokens.symbol(occurrence.at + 1) != "=":
            return False
        value, _ = occurrence.values.expression(occurrence.at + 2)
        return isinstance(value, str) and self._set_element(occurrence, name, value)

    def _set_element(self, occurrence: Occurrence, name: str, value: str) -> bool:
        """Read the code of a script element and the refresh of a meta element."""
        if occurrence.owner == "#<script>" and name in _CODE:
            self.read(value, delay_s=occurrence.delay_s, nested=occurrence.nested + 1)
            return True
        if occurrence.owner == "#<meta>" and name == "content" and _REFRESH.match(value):
            self.inserted.append(f'<meta http-equiv=refresh content="{escape(value)}">')
            return True
        return False

    def _find_markup(self, occurrence: Occurrence, name: str) -> None:
        """Record HTML that a name inserts into the page."""
        if not occurrence.is_method:
            return
        if name in _WRITE_METHODS:
            if occurrence.is_called and occurrence.owner == "document":
                self._add_written(occurrence.arguments)
        elif name in _HTML and occurrence.tokens.symbol(occurrence.at + 1) in {"=", "+="}:
            self.inserted += _texts(occurrence.values.expression(occurrence.at + 2)[:1])
        elif name == "insertAdjacentHTML" and occurrence.is_called:
            self.inserted += _texts(occurrence.arguments[1:2])
        elif name == "createContextualFragment" and occurrence.is_called:
            self.written += _texts(occurrence.arguments[:1])
            self._is_writing = False

    def _add_written(self, pieces: list[Value]) -> None:
        """Record written HTML; it ends where a part of it is unknown."""
        before = self.written.pop() if self._is_writing else ""
        # The text is copied only below the limit, because a script may write thousands of times.
        text = "".join(_texts(pieces)) if len(before) < _MAX_WRITTEN else ""
        self.written.append((before + text)[:_MAX_WRITTEN] if text else before)
        self._is_writing = all(isinstance(piece, str) for piece in pieces)

    def _is_location(self, occurrence: Occurrence, name: str) -> bool:
        if name == "location":
            return occurrence.is_global
        if name in BASES and occurrence.tokens.symbol(occurrence.at + 1) == "[":
            return (
                occurrence.tokens.matching[occurrence.at + 1] > 0
                and occurrence.member_name(occurrence.at + 1) == "location"
            )
        is_alias = self._aliases.get((-1, name)) == ("location",) and not occurrence.is_method
        return is_alias and occurrence.tokens.symbol(occurrence.at + 1) == "."

    def _read_nested(self, occurrence: Occurrence, name: str) -> None:
        """Read a text that is evaluated as a script."""
        if name in TIMERS:
            value, end = occurrence.values.expression(occurrence.at + 2)
            delay = delay_at(occurrence.tokens, occurrence.values, end)
        else:
            opened = occurrence.at + (1 if occurrence.is_called else 2)
            value, delay = next(reversed(occurrence.values.arguments(opened)), None), 0.0
        if isinstance(value, str):
            self.read(value, delay_s=occurrence.delay_s + delay, nested=occurrence.nested + 1)

    def _find_location_change(self, occurrence: Occurrence) -> None:
        tokens, after = occurrence.tokens, occurrence.at + 1
        part = ""
        if occurrence.is_in_brackets:
            after += 1
        if tokens.texts[occurrence.at] in BASES:
            after = tokens.matching[after] + 1
        if tokens.symbol(after) == "." and tokens.is_name(after + 1):
            part, after = tokens.texts[after + 1], after + 2
        elif tokens.symbol(after) == "[" and tokens.matching[after] > 0:
            part, after = occurrence.member_name(after), tokens.matching[after] + 1
            part = part or ("assign" if tokens.symbol(after) == "(" else "href")
        if tokens.symbol(after) == "(" and part in _METHODS:
            self._navigate(occurrence, next(iter(occurrence.values.arguments(after)), None))
        elif tokens.symbol(after) == "." and tokens.symbol(after + 1) in {"call", "apply"}:
            if part in _METHODS and tokens.symbol(after + 2) == "(":
                self._navigate(occurrence, _first(occurrence.values.arguments(after + 2)[1:]))
        elif tokens.symbol(after) == "=" and (not part or part in _PARTS):
            if tokens.symbol(occurrence.at - 1) in {"let", "const"} or occurrence.is_local_variable:
                return
            value, _ = occurrence.values.expression(after + 1)
            self._navigate(
                occurrence, value if part in {"", "href"} else occurrence.with_part(part, value)
            )

    def _navigate(self, occurrence: Occurrence, value: Value) -> None:
        value = occurrence.values.resolve(value)
        if occurrence.is_unreachable:
            return
        url = value if isinstance(value, str) else value.text if isinstance(value, Prefix) else ""
        scheme, colon, code = strip_reference(url).partition(":")
        if colon and scheme.lower() == "javascript":
            self.read(unquote(code), delay_s=occurrence.delay_s, nested=occurrence.nested + 1)
        else:
            self._add(
                ScriptNavigation(url, occurrence.delay_s, is_conditional=occurrence.is_conditional)
            )

    def _click(self, occurrence: Occurrence) -> None:
        """Record the click of a script on a link; clicks on other elements are ignored."""
        name, href = occurrence.element("href")
        url = href or (self.links.get(name, "") if isinstance(name, str) else "")
        if url:
            self._navigate(occurrence, url)

    def _submit(self, occurrence: Occurrence) -> None:
        form, action = occurrence.element("action")
        conditional = occurrence.is_conditional
        self._add(
            ScriptNavigation(
                action, occurrence.delay_s, is_form=True, form=form, is_conditional=conditional
            )
        )

    def _add(self, navigation: ScriptNavigation) -> None:
        """Add a navigation once; an unconditional one replaces an equal conditional one."""
        plain = replace(navigation, is_conditional=False)
        if plain in self.navigations or navigation in self.navigations:
            return
        other = replace(navigation, is_conditional=True)
        if other in self.navigations:
            self.navigations[self.navigations.index(other)] = plain
        elif len(self.navigations) < _MAX_NAVIGATIONS:
            self.navigations.append(navigation)


def _texts(values: Iterable[Value]) -> list[str]:
    """Return the texts, and the known beginnings of partial texts."""
    return [x.text if isinstance(x, Prefix) else x for x in values if isinstance(x, (str, Prefix))]


def _first(values: list[Value]) -> Value:
    """Return the first value, or the first one of the list that is the first value."""
    value = next(iter(values), None)
    return next(iter(value), None) if isinstance(value, list) else value


def _assigned_names(tokens: Tokens) -> Iterator[int]:
    """Yield the names before `=`, `+=` and `:`."""
    before = (at for at, symbol in enumerate(tokens.symbols, -1) if symbol in _ASSIGNMENTS)
    return filter(tokens.is_name, before)


def _assign(tokens: Tokens, values: Evaluator, at: int) -> None:
    """Record the assignments `a = …`, `a.b = …`, `a += …` and `a: …`."""
    symbol = tokens.symbol(at + 1)
    value, _ = values.expression(at + 2)
    if value is None and symbol != "=" and tokens.symbol(at + 2) in BASES:
        value = Path((tokens.symbol(at + 2),))
    name = tokens.texts[at]
    if symbol == ":":
        values.known[f"*.{name}"] = value
        return
    if tokens.symbol(at - 1) == "." and tokens.is_name(at - 2):
        owner = tokens.texts[at - 2]
        name = name if owner in BASES else f"{owner}.{name}"
    if value is None and tokens.symbol(at + 2) in BASES:
        value = Path((tokens.symbol(at + 2),))
    values.assign(name, value, append=symbol == "+=")
