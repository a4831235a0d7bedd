"""Finds the events that a script itself sends, and what they do."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from fetcher.page.script.functions import Path
from fetcher.page.script.tokens import Kind, Tokens

if TYPE_CHECKING:
    from fetcher.page.script.values import Evaluator

#: Events that people cause; a script that sends one reaches only the handlers of that element.
_INPUT_EVENTS = frozenset(
    {
        *("click", "dblclick", "mousedown", "mouseup", "mousemove", "mouseover", "mouseenter"),
        *("touchstart", "touchend", "pointerdown", "pointerup", "keydown", "keyup", "keypress"),
        *("submit", "change", "input", "focus", "blur", "reset", "select", "close", "scroll"),
        *("resize", "copy", "paste", "contextmenu", "wheel"),
    }
)
#: Events that the browser sends by itself, or after a call of a script.
OWN_EVENTS = frozenset(
    {
        *("abort", "error", "loadstart", "loadend", "finish", "toggle", "beforetoggle"),
        *("slotchange", "invalid", "transitionrun", "transitionstart", "transitionend"),
        *("animationstart", "animationiteration", "animationend", "loadeddata", "canplay"),
        *("loadedmetadata", "canplaythrough", "success", "upgradeneeded"),
        "securitypolicyviolation",
    }
)
#: What a script calls so that the browser sends an event, by the name of the function.
_CAUSES = {
    **dict.fromkeys(("Worker", "SharedWorker", "BroadcastChannel", "EventSource"), "message"),
    **dict.fromkeys(("scrollTo", "scrollBy", "scrollIntoView"), "scroll"),
    **dict.fromkeys(("back", "forward", "go"), "popstate"),
}
#: Methods of elements that send an event.
_METHODS = {
    **{name: name for name in ("click", "submit", "reset", "focus", "blur", "select", "close")},
    "requestSubmit": "submit",
}
_INITIALISERS = frozenset({"initEvent", "initCustomEvent", "initMouseEvent", "initUIEvent"})
_TRIGGERS = frozenset({"trigger", "triggerHandler", "emit", "fire"})
_SENDERS = _TRIGGERS | {"dispatchEvent"}
_NAMES = (
    _INITIALISERS | _SENDERS | _METHODS.keys() | _CAUSES.keys() | {"hash", "postMessage", "reject"}
)
_WINDOWS = frozenset({"window", "self", "globalThis", "top", "parent"})
#: Lists of the document, as selectors.
_LISTS = {"links": "#a[href]", "anchors": "#a[name]", "images": "#img"}
#: What an event that is sent to the body reaches too.
_AROUND = {"body": ("document", ""), "documentElement": ("document", ""), "document": ("",)}
_MAX_EVENTS = 64
#: Maximum length of a list of events; a longer one is taken for a list with an event that is sent.
_MAX_EVENT_NAMES = 1024


class Activation(NamedTuple):
    """One action: a handler's code, a link's reference or the action of a form that is sent."""

    kind: Literal["script", "link", "form"]
    text: str


class Elements(Protocol):
    """The elements of a page."""

    def cost(self, key: str) -> int:
        """Return the number of steps that the search for an element counts."""

    def activate(self, key: str, event: str) -> Iterable[Activation]:
        """Return what an event that a script sends to an element does."""


class SentEvents:
    """The events that one script sends."""

    __slots__ = ("named", "sent")

    def __init__(self) -> None:
        """Create it without events."""
        #: Events that count whatever element they are sent to.
        self.named: set[str] = set()
        self.sent: set[tuple[str, str | int]] = set()

    def runs(self, names: str, receiver: str | int) -> bool:
        """Return True if the script sends one of the events to an element."""
        if len(names) > _MAX_EVENT_NAMES:
            return True
        for name in names.split():
            event = name.partition(".")[0]
            if name in self.named or event in self.named or (event, _key(receiver)) in self.sent:
                return True
        return False

    def add(self, event: str, receiver: str | int) -> None:
        """Record an event that is sent to one element."""
        self.sent.add((event, _key(receiver)))


def _key(receiver: str | int) -> str | int:
    """Return the same key for an element that is found by its id and by its variable's name."""
    return receiver.removeprefix("#") if isinstance(receiver, str) else receiver


def find_events(tokens: Tokens, values: "Evaluator") -> SentEvents:
    """Return the events that the script sends anywhere."""
    found = SentEvents()
    created: set[str] = set()
    targets: set[str | int] = set()
    for at, text in enumerate(tokens.texts):
        is_relevant = text in _NAMES or text.endswith("Event")
        if is_relevant and tokens.kinds[at] is Kind.NAME:
            _add_event(tokens, values, at, (found, created, targets))
        if len(created) + len(targets) > _MAX_EVENTS:
            break
    around = {other for target in targets for other in _AROUND.get(str(target), ())}
    for event in created if targets else ():
        if event not in _INPUT_EVENTS:
            found.named.add(event)
        for target in targets | around:
            found.add(event, target)
    return found


def _add_event(
    tokens: Tokens,
    values: "Evaluator",
    at: int,
    into: tuple[SentEvents, set[str], set[str | int]],
) -> None:
    """Add the event that a name sends, creates, or the element that it is sent to."""
    found, created, targets = into
    text = tokens.texts[at]
    if tokens.symbol(at + 1) != "(":
        found.named.update(_of_fragment(tokens, at, text))
        return
    if text in _SENDERS:
        targets.add(receiver(tokens, values, at))
    if text in _METHODS and tokens.symbol(at + 2) == ")":
        found.add(_METHODS[text], receiver(tokens, values, at))
    elif text in _CAUSES:
        found.named.update(_of_call(tokens, at, text))
    elif text not in _METHODS:
        created.update(_first_text(values, at))
        found.named.update(_of_call(tokens, at, text))


def _first_text(values: "Evaluator", at: int) -> Iterator[str]:
    value, _ = values.expression(at + 2)
    if isinstance(value, str) and value:
        yield value


def _of_fragment(tokens: Tokens, at: int, text: str) -> Iterator[str]:
    """Yield the event of a change of the page's fragment."""
    is_set = tokens.symbol(at - 1) == "." and tokens.symbol(at + 1) in {"=", "+="}
    if text == "hash" and is_set:
        yield "hashchange"


def _of_call(tokens: Tokens, at: int, text: str) -> Iterator[str]:
    """Yield the event that a call causes: a message, a rejection and others."""
    owner = tokens.symbol(at - 2) if tokens.symbol(at - 1) == "." else "window"
    if text in _CAUSES and (_CAUSES[text] != "popstate" or owner == "history"):
        yield _CAUSES[text]
    if text == "reject":
        yield "unhandledrejection"
    elif text == "postMessage" and (owner in _WINDOWS or owner.startswith("port")):
        yield "message"


def receiver(tokens: Tokens, values: "Evaluator", at: int) -> str | int:
    """Return the element whose member the name is.

    That is `#` with a selector or an id, the name of a variable, or the index of a form; it is
    empty for the window.
    """
    if tokens.symbol(at - 1) != ".":
        return ""
    before = at - 2
    if tokens.symbol(before) == "]" and tokens.symbol(tokens.matching[before] - 1) == ")":
        before = tokens.matching[before] - 1
    if tokens.symbol(before) in {")", "]"} and tokens.matching[before] >= 0:
        opened = tokens.matching[before]
        number = tokens.texts[opened + 1] if tokens.kinds[opened + 1] is Kind.NUMBER else ""
        owner = tokens.symbol(opened - 1)
        if number.isdigit():
            return _LISTS.get(owner, int(number))
        value, _ = values.expression(opened + 1) if opened + 1 < before else (None, 0)
        if not isinstance(value, str):
            return f"?{owner}"
        mark = "." if owner == "getElementsByClassName" else ""
        return f"#{mark}{value.removeprefix('#')}"
    name = tokens.symbol(before)
    found = values.resolve(Path((name,)))
    if isinstance(found, Path) and found.names[0].startswith("#"):
        return found.names[0]
    return "" if name in _WINDOWS else name
