"""Finds where a page's scripts lead by themselves, without running them.

Literals and what a few functions make of them are worked out; code that waits for a click does
not count. All of it is bounded by tokens and steps, so that the same page always gives the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fetcher.page.script_calls import TIMERS, delay_at, find_calls
from fetcher.page.script_functions import Begun, Path, Value
from fetcher.page.script_site import Site
from fetcher.page.script_tokens import Tokens, tokenize
from fetcher.page.script_values import BASES, Budget, Values

#: Characters of one script, and tokens of all scripts of a page, that are read.
_MAX_CODE = 512 * 1024
_MAX_TOKENS = 40_000
_MAX_NESTED = 4
_MAX_MOVES = 16
_OWN_WINDOWS = frozenset({"_self", "_top", "_parent"})
_METHODS = frozenset({"assign", "replace"})
_PARTS = frozenset({"href", "pathname", "search", "host", "hostname", "protocol"})
#: Properties that make elements of a text.
_HTML = frozenset({"innerHTML", "outerHTML"})
#: Characters that are kept of what is written in a row.
_MAX_WRITTEN = 256 * 1024


@dataclass(frozen=True, slots=True)
class Move:
    """A navigation that a script makes by itself."""

    #: As written; what is known of it where it is not all known, empty where nothing is.
    url: str
    delay_s: float = 0.0
    #: Whether a form is sent: then `form` is its id, name or number where that is known.
    is_form: bool = False
    form: str | int = ""
    #: Whether a condition of the script decides about it.
    is_conditional: bool = False


@dataclass(slots=True)
class Scripts:
    """Reads the scripts of one page within one budget."""

    page_url: str
    moves: list[Move] = field(default_factory=list)
    #: Where links lead, by their id.
    links: Mapping[str, str] = field(default_factory=dict)
    #: HTML that scripts write where the parser stands: what is written in a row is one text.
    written: list[str] = field(default_factory=list)
    #: HTML that they put in elsewhere.
    inserted: list[str] = field(default_factory=list)
    _budget: Budget = field(default_factory=Budget)
    _tokens_left: int = _MAX_TOKENS
    _known: dict[str, Value] = field(default_factory=dict)
    #: Variables that stand for the page's location.
    _aliases: set[str] = field(default_factory=set)
    _is_writing: bool = False
    #: Whether something was not read, since it is too long or goes too deep.
    is_cut: bool = False

    def read(self, *codes: str, delay_s: float = 0.0, nested: int = 0) -> None:
        """Take in scripts that know each other's variables and functions."""
        if nested > _MAX_NESTED or self._budget.steps <= 0:
            self.is_cut = True
            return
        tokens = Tokens()
        for code in codes:
            more, end = tokenize(code[:_MAX_CODE], self._tokens_left)
            self._tokens_left -= len(more)
            self.is_cut = self.is_cut or end < len(code)
            tokens.extend(more)
        values = Values(tokens, self.page_url, self._budget, dict(self._known))
        _assign_all(tokens, values)
        values.finally_known, values.known = values.known, dict(self._known)
        calls = find_calls(tokens, values)
        self._aliases |= {tokens.texts[at] for at in range(len(tokens)) if _is_alias(tokens, at)}
        for at in range(len(tokens)):
            _assign(tokens, values, at)
            if tokens.is_name(at) and calls.runs(at):
                self._look(Site(tokens, values, calls, at, delay_s, nested))
        self._known = values.finally_known
        self.is_cut = self.is_cut or self._budget.steps <= 0

    def _look(self, site: Site) -> None:
        """Take in what a name does, where it navigates or runs a text as a script."""
        name = site.tokens.texts[site.at]
        if self._is_location(site, name):
            self._location(site)
        elif name == "open" and site.is_own and site.opened:
            second = site.arguments[1:2]
            if second and str(second[0]).lower() in _OWN_WINDOWS:
                self._go(site, site.arguments[0])
        elif name == "navigate" and site.opened and site.tokens.sign(site.at - 2) == "navigation":
            self._go(site, next(iter(site.arguments), None))
        elif name in {"submit", "requestSubmit"} and site.is_method and site.opened:
            if not site.arguments:
                self._send(site)
        elif name == "click" and site.is_method and site.opened and not site.arguments:
            self._click(site)
        elif site.opened and (name in {"eval", "execScript", "Function", *TIMERS}):
            self._nested(site, name)
        else:
            self._markup(site, name)

    def _markup(self, site: Site, name: str) -> None:
        """Take in HTML that a name puts into the page."""
        if not site.is_method:
            return
        if name in {"write", "writeln"}:
            if site.opened and site.tokens.sign(site.at - 2) == "document":
                self._write(site.arguments)
        elif name in _HTML and site.tokens.sign(site.at + 1) in {"=", "+="}:
            self.inserted += _texts(site.values.expression(site.at + 2)[:1])
        elif name == "insertAdjacentHTML" and site.opened:
            self.inserted += _texts(site.arguments[1:2])

    def _write(self, pieces: list[Value]) -> None:
        """Take in what is written; a text of which the end is not known ends there."""
        before = self.written.pop() if self._is_writing else ""
        # Copied while there is room: a script can write thousands of times.
        more = "".join(_texts(pieces)) if len(before) < _MAX_WRITTEN else ""
        self.written.append((before + more)[:_MAX_WRITTEN] if more else before)
        self._is_writing = all(isinstance(piece, str) for piece in pieces)

    def _is_location(self, site: Site, name: str) -> bool:
        if name == "location":
            return site.is_own
        if name in BASES and site.tokens.sign(site.at + 1) == "[":
            return site.tokens.mate[site.at + 1] > 0 and site.key(site.at + 1) == "location"
        is_alias = name in self._aliases and not site.is_method
        return is_alias and site.tokens.sign(site.at + 1) == "."

    def _nested(self, site: Site, name: str) -> None:
        """Read a text that is run as a script."""
        if name in TIMERS:
            value, end = site.values.expression(site.at + 2)
            delay = delay_at(site.tokens, site.values, end)
        else:
            value, delay = next(reversed(site.arguments), None), 0.0
        if isinstance(value, str):
            self.read(value, delay_s=site.delay_s + delay, nested=site.nested + 1)

    def _location(self, site: Site) -> None:
        tokens, after = site.tokens, site.at + 1
        part = ""
        if tokens.texts[site.at] in BASES:
            after = tokens.mate[after] + 1
        if tokens.sign(after) == "." and tokens.is_name(after + 1):
            part, after = tokens.texts[after + 1], after + 2
        elif tokens.sign(after) == "[" and tokens.mate[after] > 0:
            part, after = site.key(after), tokens.mate[after] + 1
            part = part or ("assign" if tokens.sign(after) == "(" else "href")
        if tokens.sign(after) == "(" and part in _METHODS:
            self._go(site, next(iter(site.values.arguments(after)), None))
        elif tokens.sign(after) == "=" and (not part or part in _PARTS):
            if tokens.sign(site.at - 1) in {"let", "const"} or site.is_local_variable:
                return
            value, _ = site.values.expression(after + 1)
            self._go(site, value if part in {"", "href"} else site.changed(part, value))

    def _go(self, site: Site, value: Value) -> None:
        value = site.values.resolved(value)
        if site.never_happens:
            return
        url = value if isinstance(value, str) else value.text if isinstance(value, Begun) else ""
        scheme, colon, code = url.strip().partition(":")
        if colon and scheme.lower() == "javascript":
            self.read(code, delay_s=site.delay_s, nested=site.nested + 1)
        else:
            self._add(Move(url, site.delay_s, is_conditional=site.is_guarded))

    def _click(self, site: Site) -> None:
        """Take in that a script clicks on a link; on what is none, nothing is known."""
        name, href = site.element("href")
        url = href or (self.links.get(name, "") if isinstance(name, str) else "")
        if url:
            self._go(site, url)

    def _send(self, site: Site) -> None:
        form, action = site.element("action")
        guarded = site.is_guarded
        self._add(Move(action, site.delay_s, is_form=True, form=form, is_conditional=guarded))

    def _add(self, move: Move) -> None:
        """Note a move once; one without a condition stands for the same one with it."""
        plain = replace(move, is_conditional=False)
        if plain in self.moves or move in self.moves:
            return
        other = replace(move, is_conditional=True)
        if other in self.moves:
            self.moves[self.moves.index(other)] = plain
        elif len(self.moves) < _MAX_MOVES:
            self.moves.append(move)


def _texts(values: Iterable[Value]) -> list[str]:
    """Return those that are texts, and the known starts of others."""
    return [x.text if isinstance(x, Begun) else x for x in values if isinstance(x, (str, Begun))]


def _is_alias(tokens: Tokens, at: int) -> bool:
    """Tell whether a name is given the location itself, and not a part of it or its text."""
    if not tokens.is_name(at) or tokens.sign(at + 1) != "=" or tokens.sign(at - 1) == ".":
        return False
    at += 2
    while tokens.sign(at) in BASES and tokens.sign(at + 1) == ".":
        at += 2
    ends = tokens.sign(at + 1) in {"", ";", ",", ")", "}"} or tokens.is_name(at + 1)
    return tokens.sign(at) == "location" and ends


def _assign_all(tokens: Tokens, values: Values) -> None:
    for at in range(len(tokens)):
        _assign(tokens, values, at)


def _assign(tokens: Tokens, values: Values, at: int) -> None:
    """Note `a = …`, `a.b = …`, `a += …` and `a: …`."""
    if not tokens.is_name(at):
        return
    sign = tokens.sign(at + 1)
    if sign not in {"=", "+=", ":"}:
        return
    value, _ = values.expression(at + 2)
    if value is None and sign != "=" and tokens.sign(at + 2) in BASES:
        value = Path((tokens.sign(at + 2),))
    name = tokens.texts[at]
    if sign == ":":
        values.known[f"*.{name}"] = value
        return
    if tokens.sign(at - 1) == "." and tokens.is_name(at - 2):
        owner = tokens.texts[at - 2]
        name = name if owner in BASES else f"{owner}.{name}"
    if value is None and tokens.sign(at + 2) in BASES:
        value = Path((tokens.sign(at + 2),))
    values.assign(name, value, more=sign == "+=")
