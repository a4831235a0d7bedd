"""Finds the navigations of a page's scripts without executing them.

Literals and the results of a few functions are evaluated. Code that needs a click is ignored.
Tokens and steps are limited, not time, so that the same page always has the same result.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from msgspec import Struct, field
from msgspec.structs import replace

from fetcher.page.script.aliases import expand, find_aliases, find_results
from fetcher.page.script.assignments import assign, assigned_names
from fetcher.page.script.calls import TIMERS, build_call_graph, delay_at
from fetcher.page.script.chains import Aliases, Chains, Names
from fetcher.page.script.changes import indirect_changes, location_changes, open_changes
from fetcher.page.script.content import (
    APPEND_METHODS,
    CODE,
    HTML,
    PARSING,
    WRITE_METHODS,
    ContentReader,
    texts,
)
from fetcher.page.script.events import Elements, receiver
from fetcher.page.script.functions import MAX_TEXT, Path, Prefix, Value
from fetcher.page.script.occurrence import Occurrence
from fetcher.page.script.scopes import Scopes
from fetcher.page.script.sources import BLOB, source_text
from fetcher.page.script.tokens import Tokens, tokenize
from fetcher.page.script.values import BASES, Budget, Evaluator
from fetcher.sanitize import URL, strip_reference

_MAX_NESTED = 4
_MAX_NAVIGATIONS = 16
#: Steps that each reading of a text counts, and characters of an evaluated text that count as one.
_READ_STEPS = 32
_CHARACTERS_PER_STEP = 16
_INDIRECT = frozenset({"Reflect", "Object"})
#: Methods of elements that send the event with the same name.
_SENDING = frozenset({"focus", "close"})
#: Handlers of elements that a script may call itself.
_HANDLERS = frozenset(
    {
        *("onclick", "ondblclick", "onmousedown", "onmouseup", "onmouseover", "onfocus", "onblur"),
        *("onchange", "oninput", "onsubmit", "onreset", "onkeydown", "onkeyup", "onload"),
    }
)
_OWN_WINDOWS = frozenset({"", "_self", "_top", "_parent"})
_HISTORY = frozenset({"pushState", "replaceState", "reload", "go"})
_SUBMIT_METHODS = frozenset({"submit", "requestSubmit"})
#: Functions that evaluate a text as a script.
_EVALUATING = frozenset({"eval", "execScript", "Function", "constructor", *TIMERS})
#: Names that may navigate, write or evaluate; of the other names only aliases may.
_RELEVANT = frozenset(
    {"dispatchEvent", *_SENDING, *_HANDLERS, *PARSING}
    | {"location", "open", "navigate", "click", "insertAdjacentHTML", "createContextualFragment"}
    | {"setAttribute", "content", "src", "srcdoc", "import", *CODE, *_INDIRECT, *_HISTORY}
    | (BASES | HTML | WRITE_METHODS | APPEND_METHODS | _SUBMIT_METHODS | _EVALUATING)
)


class ScriptNavigation(Struct, frozen=True):
    """A navigation that a script makes without input."""

    #: As written; only the known beginning if the rest is unknown, empty if nothing is known.
    url: str
    delay_s: float = 0.0
    #: True if a form is submitted; then `form` is its id, name or index if that is known.
    is_form: bool = False
    form: str | int = ""
    #: True if the navigation depends on a condition in the script.
    is_conditional: bool = False


class ScriptReader(ContentReader):
    """Reads the scripts of one page, within limits for all of them."""

    navigations: list[ScriptNavigation] = field(default_factory=list)
    #: Targets of links by id.
    links: Mapping[str, str] = field(default_factory=dict)
    #: The elements of the page, if its scripts can find them.
    elements: Elements | None = None
    _budget: Budget = field(default_factory=Budget)
    _known: dict[str, Value] = field(default_factory=dict)
    #: Global variables that are other names of the location and its like.
    _aliases: Aliases = field(default_factory=dict)
    #: Those of evaluated texts, by name: the script around such a text may use them.
    _late_aliases: dict[str, Names] = field(default_factory=dict)
    #: The address that a script gave to the page without loading it.
    _own_url: str = ""

    def of_frame(self, links: Mapping[str, str]) -> "ScriptReader":
        """Return a reader for the scripts of a frame, within the same limits."""
        reader = ScriptReader(self.page_url, in_frame=True, links=links)
        reader._budget = self._budget
        return reader

    def read(self, *codes: str, delay_s: float = 0.0, nested: int = 0) -> None:
        """Read scripts that share their variables and functions."""
        # The names that are known are copied for each reading.
        self._budget.steps -= _READ_STEPS + len(self._known) // 32 + len(self._aliases) // 2
        self._budget.steps -= sum(map(len, codes)) // _CHARACTERS_PER_STEP if nested else 0
        if nested > _MAX_NESTED or self._budget.steps <= 0:
            self.is_truncated = True
            return
        tokens = Tokens()
        for code in codes:
            more, end = tokenize(code, self._budget.tokens)
            self._budget.tokens -= len(more)
            self.is_truncated = self.is_truncated or end < len(code)
            tokens.extend(more)
        scopes = Scopes(tokens)
        values = Evaluator(tokens, self.page_url, self._budget, dict(self._known))
        chains = find_aliases(scopes, values, self._aliases, in_frame=self.in_frame)
        if chains.aliases or chains.inside or chains.getters:
            found = {key: meant for key, meant in chains.aliases.items() if key[0] < 0}
            self._aliases |= found
            self._late_aliases |= {name: found[-1, name] for _, name in found if nested}
            tokens = expand(chains)
            scopes = Scopes(tokens)
            values = Evaluator(tokens, self.page_url, self._budget, dict(self._known))
            has_results = bool(chains.results)
            chains = Chains(scopes, values, in_frame=self.in_frame)
            if has_results:
                find_results(chains)
        values.set_functions(scopes)
        assigned = dict.fromkeys(assigned_names(tokens))
        for at in assigned:
            assign(tokens, values, at)
        values.final_values, values.known = values.known, dict(self._known)
        calls = build_call_graph(scopes, values)
        for at, name in enumerate(tokens.texts):
            if at in assigned:
                assign(tokens, values, at)
            # The interpretation of a name may add aliases.
            is_relevant = name in _RELEVANT or name in self._late_aliases
            if is_relevant and tokens.is_name(at) and calls.runs(at):
                self._interpret(Occurrence(tokens, values, calls, chains, at, delay_s, nested))
        self._known = values.final_values
        self.is_truncated = self.is_truncated or self._budget.steps <= 0

    def value(self, code: str) -> str:
        """Return the text that the code's only expression is; empty if that is unknown."""
        tokens, _ = tokenize(code, self._budget.tokens)
        values = Evaluator(tokens, self.page_url, self._budget, dict(self._known))
        return next(iter(texts(values.expression(0)[:1])), "")

    def _interpret(self, occurrence: Occurrence) -> None:
        """Interpret a name that may navigate or that evaluates a text as a script."""
        name = occurrence.tokens.texts[occurrence.at]
        if name in BASES and occurrence.tokens.symbol(occurrence.at + 1) == "[":
            self._interpret_member(occurrence)
        elif self._is_location(occurrence, name):
            self._navigate_all(occurrence, location_changes(occurrence))
        elif name in _INDIRECT:
            self._navigate_all(occurrence, indirect_changes(occurrence))
        elif name == "open" and occurrence.is_global and occurrence.is_called:
            self._navigate_all(occurrence, open_changes(occurrence))
        elif name in _HISTORY and occurrence.is_method:
            self._use_history(occurrence, name)
        elif (
            name == "navigate"
            and occurrence.is_called
            and occurrence.tokens.symbol(occurrence.at - 2) == "navigation"
        ):
            self._navigate(occurrence, next(iter(occurrence.arguments), None))
        else:
            self._interpret_event(occurrence, name)

    def _interpret_event(self, occurrence: Occurrence, name: str) -> None:
        """Interpret a name that sends a form or an event."""
        is_called = occurrence.is_method and occurrence.is_called
        if name in _SUBMIT_METHODS and occurrence.is_method:
            self._submit(occurrence, name)
        elif name == "click" and is_called and not occurrence.arguments:
            self._click(occurrence)
        elif name == "dispatchEvent" and occurrence.is_called:
            event = next(iter(occurrence.arguments), None)
            if isinstance(event, str):
                self._send(occurrence, event)
        elif name in _SENDING and is_called:
            self._send(occurrence, name)
        elif name in _HANDLERS and is_called:
            self._send(occurrence, name.removeprefix("on"), by_default=False)
        elif name in _EVALUATING and (occurrence.is_called or occurrence.is_called_in_brackets):
            self._read_nested(occurrence, name)
        else:
            self.interpret_content(occurrence, name)

    def _interpret_member(self, occurrence: Occurrence) -> None:
        """Interpret a member of the window or the document whose name is an expression."""
        after = occurrence.tokens.matching[occurrence.at + 1] + 1
        member = occurrence.member_name(occurrence.at + 1) if after > 0 else ""
        if member == "location":
            self._navigate_all(occurrence, location_changes(occurrence))
        elif member in _EVALUATING and occurrence.tokens.symbol(after) == "(":
            self._read_value(occurrence, occurrence.values.arguments(after)[:1])

    def _is_location(self, occurrence: Occurrence, name: str) -> bool:
        if name == "location":
            return occurrence.is_location
        is_alias = self._late_aliases.get(name) == ("location",) and not occurrence.is_method
        return is_alias and occurrence.tokens.symbol(occurrence.at + 1) == "."

    def _read_nested(self, occurrence: Occurrence, name: str) -> None:
        """Read a text that is evaluated as a script."""
        if name in TIMERS:
            value, end = occurrence.values.expression(occurrence.at + 2)
            delay = delay_at(occurrence.tokens, occurrence.values, end)
        else:
            opened = occurrence.at + (1 if occurrence.is_called else 2)
            value, delay = next(reversed(occurrence.values.arguments(opened)), None), 0.0
        self._read_value(occurrence, [value], delay)

    def _read_value(self, occurrence: Occurrence, values: list[Value], delay: float = 0.0) -> None:
        """Read a text as a script, or its known beginning."""
        is_known = all(isinstance(value, str) for value in values)
        self.is_truncated = self.is_truncated or (self._budget.is_cut and not is_known)
        for code in texts(values):
            self.is_truncated = self.is_truncated or len(code) >= MAX_TEXT
            self.read(code, delay_s=occurrence.delay_s + delay, nested=occurrence.nested + 1)

    def _navigate_all(self, occurrence: Occurrence, values: Iterable[Value]) -> None:
        for value in values:
            self._navigate(occurrence, value)

    def _use_history(self, occurrence: Occurrence, name: str) -> None:
        """Record the address that the page gives itself, and its reload."""
        owner = occurrence.chains.before(occurrence.at)
        if owner == ("history",) and name in {"pushState", "replaceState"}:
            url = next(iter(occurrence.arguments[2:3]), None)
            self._own_url = url if isinstance(url, str) else self._own_url
        elif self._own_url and occurrence.is_called:
            is_reload = (owner, name) == (("location",), "reload")
            is_go = (owner, name) == (("history",), "go") and occurrence.arguments in ([], [0.0])
            if is_reload or is_go:
                self._navigate(occurrence, self._own_url)

    def _navigate(self, occurrence: Occurrence, value: Value) -> None:
        value = occurrence.values.resolve(value)
        if value == self.page_url and self._own_url:
            value = self._own_url
        if not self.in_frame and occurrence.is_unreachable:
            return
        url = value if isinstance(value, str) else value.text if isinstance(value, Prefix) else ""
        self._budget.steps -= len(url) // _CHARACTERS_PER_STEP
        scheme, colon, code = strip_reference(url).partition(":")
        if url.startswith(BLOB):
            self.end_writing()
            self.keep(self.written, [source_text(url)])
        elif colon and scheme.lower() == "javascript":
            self.read(unquote(code), delay_s=occurrence.delay_s, nested=occurrence.nested + 1)
        else:
            conditional = occurrence.is_conditional
            self._add(ScriptNavigation(url[:URL], occurrence.delay_s, is_conditional=conditional))

    def _send(self, occurrence: Occurrence, event: str, *, by_default: bool = True) -> None:
        """Record what an event does that a script sends to an element.

        Without `by_default` only the handlers run, not what the browser does after them.
        """
        tokens, values = occurrence.tokens, occurrence.values
        key = receiver(tokens, values, occurrence.at)
        if self.elements is None or not isinstance(key, str):
            return
        self._budget.steps -= self.elements.cost(key)
        if self._budget.steps <= 0:
            return
        for kind, text in self.elements.activate(key, event):
            if kind == "script":
                self.read(text, delay_s=occurrence.delay_s, nested=occurrence.nested + 1)
            elif not by_default:
                continue
            elif kind == "link":
                self._navigate(occurrence, text)
            else:
                conditional = occurrence.is_conditional
                self._add(
                    ScriptNavigation(
                        text, occurrence.delay_s, is_form=True, is_conditional=conditional
                    )
                )

    def _click(self, occurrence: Occurrence) -> None:
        """Record the click of a script on an element that the page has or the script made."""
        name, href = occurrence.element("href")
        values = occurrence.values
        variable = occurrence.tokens.symbol(occurrence.at - 2)
        target = values.resolve(Path((variable, "target")))
        is_own = not isinstance(target, str) or target.lower() in _OWN_WINDOWS
        if href:
            if is_own and f"{variable}.download" not in values.final_values:
                self._navigate(occurrence, href)
        elif self.elements is not None:
            self._send(occurrence, "click")
        elif isinstance(name, str) and self.links.get(name):
            self._navigate(occurrence, self.links[name])

    def _submit(self, occurrence: Occurrence, name: str) -> None:
        """Record a form that a script sends: `form.submit()` or `submit.call(form)`."""
        tokens, after = occurrence.tokens, occurrence.at + 1
        form, action = occurrence.element("action")
        if tokens.symbol(after) == "." and tokens.symbol(after + 1) in {"call", "apply"}:
            form = tokens.symbol(after + 3)
        elif not occurrence.is_called or (name == "submit" and occurrence.arguments):
            # `submit` with an argument is another library's method.
            return
        if name == "requestSubmit":
            self._send(occurrence, "submit")
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
