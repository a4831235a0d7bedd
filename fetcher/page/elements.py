"""Finds the elements of a page that its scripts click or send events to."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from fetcher.page.evidence import attribute
from fetcher.page.script.events import Activation

_NAME = re.compile(r"[\w-]{1,128}")
#: Maximum length of a selector, and depth in which the ancestors of an element are examined.
_MAX_SELECTOR = 256
_MAX_ANCESTORS = 64
#: Elements of the page that count as one step in the search for a selector.
_ELEMENTS_PER_STEP = 32
_OWN_WINDOWS = frozenset({"", "_self", "_top", "_parent"})
_SUBMITTERS = frozenset({"submit", "image"})
_LABELLED = "input, button, select, textarea"


class PageElements:
    """The elements of a page."""

    def __init__(self, tree: LexborHTMLParser, size: int) -> None:
        """Create it for the tree of the page, with about as many elements as `size` says."""
        self._tree, self._size = tree, size
        self._is_indexed = False
        #: The first element of each selector that has been searched.
        self._found: dict[str, LexborNode | None] = {}
        #: The first element with each id, and with each name.
        self._by_id: dict[str, LexborNode] = {}
        self._by_name: dict[str, LexborNode] = {}

    def cost(self, key: str) -> int:
        """Return the number of steps that the search for an element counts."""
        self._index()
        name = key.removeprefix("#")
        is_known = name in self._by_id or name in self._by_name or name in self._found
        is_search = key.startswith("#") and not is_known
        return _MAX_ANCESTORS + (self._size // _ELEMENTS_PER_STEP if is_search else 0)

    def _index(self) -> None:
        """Find the elements with an id or a name, once."""
        if self._is_indexed:
            return
        self._is_indexed = True
        for node in self._tree.css("[id], [name]"):
            attributes = node.attributes
            for name, into in (("id", self._by_id), ("name", self._by_name)):
                value = attribute(attributes, name)
                if value:
                    into.setdefault(value, node)

    def activate(self, key: str, event: str) -> Iterator[Activation]:
        """Yield what an event that a script sends to an element does."""
        node = self._find(key)
        if node is None:
            return
        for each in _with_ancestors(node):
            code = attribute(each.attributes, f"on{event}")
            if code:
                yield Activation("script", code)
        if event == "click":
            yield from self._click(node)

    def _find(self, key: str) -> LexborNode | None:
        """Return the element with an id or a name, or for `#…` the first one of a selector."""
        name = key.removeprefix("#")
        self._index()
        found = self._by_id.get(name) or self._by_name.get(name)
        if found is None and key.startswith("#") and 0 < len(name) <= _MAX_SELECTOR:
            if name not in self._found:
                try:
                    self._found[name] = self._tree.css_first(name)
                except Exception:  # noqa: BLE001 - the parser's errors for selectors have no class
                    self._found[name] = None
            found = self._found[name]
        return found

    def _click(self, node: LexborNode, *, by_label: bool = False) -> Iterator[Activation]:
        """Yield the default action of a click: that of the innermost element that has one."""
        for each in _with_ancestors(node):
            attributes, tag = each.attributes, each.tag
            if tag in {"a", "area"} and "href" in attributes:
                target = attribute(attributes, "target").lower()
                if target in _OWN_WINDOWS and "download" not in attributes:
                    yield Activation("link", attribute(attributes, "href"))
                return
            if tag in {"button", "input"}:
                default = "submit" if tag == "button" else "text"
                if (attribute(attributes, "type").lower() or default) in _SUBMITTERS:
                    yield from self._submit(each)
                return
            if tag == "label" and not by_label:
                labelled = self._labelled(each)
                if labelled is not None:
                    code = attribute(labelled.attributes, "onclick")
                    yield from [Activation("script", code)] if code else []
                    yield from self._click(labelled, by_label=True)
                return

    def _labelled(self, label: LexborNode) -> LexborNode | None:
        name = attribute(label.attributes, "for")
        if not name:
            return label.css_first(_LABELLED)
        return self._find(name) if _NAME.fullmatch(name) else None

    def _submit(self, button: LexborNode) -> Iterator[Activation]:
        name = attribute(button.attributes, "form")
        form = self._find(name) if _NAME.fullmatch(name) else None
        for each in _with_ancestors(button):
            if form is None and each.tag == "form":
                form = each
        if form is None:
            return
        code = attribute(form.attributes, "onsubmit")
        yield from [Activation("script", code)] if code else []
        action = attribute(button.attributes, "formaction") or attribute(form.attributes, "action")
        yield Activation("form", action)


def _with_ancestors(node: LexborNode) -> Iterator[LexborNode]:
    each: LexborNode | None = node
    for _ in range(_MAX_ANCESTORS):
        if each is None or not each.is_element_node:
            return
        yield each
        each = each.parent
