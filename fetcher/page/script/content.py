"""Reads what a script puts into the page: HTML, elements, scripts and documents of frames."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from msgspec import Struct, field

from fetcher.page.script.calls import LOAD_HANDLERS
from fetcher.page.script.chains import FRAME, TOP
from fetcher.page.script.functions import Prefix, Value, join
from fetcher.page.script.occurrence import Occurrence
from fetcher.page.script.sources import BLOB, source_text
from fetcher.sanitize import strip_reference

#: Properties that parse a text into elements.
HTML = frozenset({"innerHTML", "outerHTML"})
#: Methods that parse their first argument into elements.
PARSING = frozenset({"setHTMLUnsafe"})
WRITE_METHODS = frozenset({"write", "writeln"})
#: Properties of a script element that are its code, and methods that add to it.
CODE = frozenset({"text", "textContent", "innerText", "innerHTML"})
APPEND_METHODS = frozenset({"append", "appendChild", "prepend", "replaceChildren"})
#: Attributes that are also properties.
_ATTRIBUTES = frozenset({"href", "action", "content", "src", "srcdoc"})
_REFRESH = re.compile(r"\s*+[0-9.]++\s*+[;,\s]\s*+\S")
#: Maximum number of characters that are kept of consecutive writes, and of everything.
_MAX_WRITTEN = 256 * 1024
_MAX_KEPT = 4 * 1024 * 1024
#: What a kept text counts besides its characters.
_TEXT_SIZE = 64
#: Maximum number of tokens between `import` and its source.
_MAX_IMPORT = 64
_FRAME_DOCUMENT = (*FRAME, "document")


class _Writes(Struct):
    """The texts of consecutive writes."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> bool:
        """Add a text up to the limit; return False if that is reached."""
        self.pieces.append(text[: _MAX_WRITTEN - self.size])
        self.size = min(self.size + len(text), _MAX_WRITTEN)
        return self.size < _MAX_WRITTEN

    def take(self) -> list[str]:
        """Return the whole text if there is one, and start again."""
        text = "".join(self.pieces)
        self.pieces, self.size = [], 0
        return [text] if text else []


class ContentReader(Struct):
    """Collects the content that the scripts of one page make."""

    page_url: str
    #: True if the scripts are those of a frame: they must name the page's window.
    in_frame: bool = False
    #: HTML that scripts write during parsing; consecutive writes are one text.
    written: list[str] = field(default_factory=list)
    #: HTML that scripts insert in other ways.
    inserted: list[str] = field(default_factory=list)
    #: HTML and scripts of frames.
    framed: list[str] = field(default_factory=list)
    frame_scripts: list[str] = field(default_factory=list)
    #: True if something was too long or too deeply nested to be read.
    is_truncated: bool = False
    #: HTML that is being written into the page, and into the documents of frames.
    _writes: _Writes = field(default_factory=_Writes)
    _frame_writes: _Writes = field(default_factory=_Writes)
    #: The size of everything that is kept.
    _kept: int = 0

    def read(self, *codes: str, delay_s: float = 0.0, nested: int = 0) -> None:
        """Read scripts that share their variables and functions."""
        raise NotImplementedError

    def end_writing(self) -> None:
        """End the texts of consecutive writes."""
        self.keep(self.written, self._writes.take())
        self.keep(self.framed, self._frame_writes.take())

    def keep(self, into: list[str], found: Iterable[str]) -> None:
        """Keep texts in one of the lists, within the limit for all of them."""
        for text in found:
            self._kept += len(text) + _TEXT_SIZE
            if self._kept > _MAX_KEPT:
                self.is_truncated = True
                return
            into.append(text)

    def interpret_content(self, occurrence: Occurrence, name: str) -> None:
        """Interpret a name that makes elements or HTML."""
        if name == "setAttribute":
            self._set_attribute(occurrence)
        elif name == "import":
            self._import(occurrence)
        elif name in APPEND_METHODS:
            if occurrence.is_method and occurrence.owner == "#<script>":
                self._read_code(occurrence, texts(occurrence.arguments))
        elif not self._set_property(occurrence, name):
            self._find_markup(occurrence, name)

    def _read_code(self, occurrence: Occurrence, codes: Iterable[str]) -> None:
        for code in codes:
            self.read(code, delay_s=occurrence.delay_s, nested=occurrence.nested + 1)

    def _import(self, occurrence: Occurrence) -> None:
        """Read the module of an import if it is in the URL itself."""
        if occurrence.is_called:
            sources = texts(occurrence.arguments[:1])
        else:
            tokens, at = occurrence.tokens, occurrence.at + 1
            end = min(at + _MAX_IMPORT, len(tokens))
            while at < end and tokens.string(at) is None and tokens.symbol(at) != ";":
                at += 1
            sources = [tokens.string(at) or ""]
        self._read_code(occurrence, filter(None, map(source_text, sources)))

    def _set_attribute(self, occurrence: Occurrence) -> None:
        """Interpret `element.setAttribute(name, value)` as `element.name = value`."""
        match occurrence.arguments if occurrence.is_method else []:
            case [str(name), str(value)] if name in LOAD_HANDLERS:
                self._read_code(occurrence, [value])
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
        return any(self._set_element(occurrence, name, text) for text in texts([value]))

    def _set_element(self, occurrence: Occurrence, name: str, value: str) -> bool:
        """Read the code of a script element, the refresh of a meta element, and frames."""
        owner = occurrence.owner
        match name:
            case "src" if owner == "#<script>":
                self._read_code(occurrence, filter(None, [source_text(value)]))
            case "src" if not owner.startswith("#<") or owner == "#<iframe>":
                self.add_frame(value)
            case "srcdoc" if not owner.startswith("#<") or owner == "#<iframe>":
                self.keep(self.framed, [value])
            case _ if owner == "#<script>" and name in CODE:
                self._read_code(occurrence, [value])
            case "content" if owner == "#<meta>" and _REFRESH.match(value):
                from html import escape  # noqa: PLC0415 - its table of entities takes 1 ms

                meta = f'<meta http-equiv=refresh content="{escape(value)}">'
                self.keep(self.inserted, [meta])
            case _:
                return False
        return True

    def add_frame(self, source: str) -> None:
        """Add the source of a frame if it is a script, or a blob."""
        if source.startswith(BLOB):
            self.keep(self.framed, [source_text(source)])
            return
        scheme, colon, code = strip_reference(source).partition(":")
        if colon and scheme.lower() == "javascript":
            self.keep(self.frame_scripts, [unquote(code)])

    def _find_markup(self, occurrence: Occurrence, name: str) -> None:
        """Record HTML that a name inserts into the page."""
        if not occurrence.is_method:
            return
        if name in WRITE_METHODS:
            if occurrence.is_called:
                self._write(occurrence)
        elif name in HTML and occurrence.tokens.symbol(occurrence.at + 1) in {"=", "+="}:
            value, _ = occurrence.values.expression(occurrence.at + 2)
            self.keep(self.inserted, texts([value]))
        elif name in PARSING and occurrence.is_called:
            self.keep(self.inserted, texts(occurrence.arguments[:1]))
        elif name == "insertAdjacentHTML" and occurrence.is_called:
            self.keep(self.inserted, texts(occurrence.arguments[1:2]))
        elif name == "createContextualFragment" and occurrence.is_called:
            self.end_writing()
            self.keep(self.written, texts(occurrence.arguments[:1]))

    def _write(self, occurrence: Occurrence) -> None:
        """Record what is written into the page's document or into that of a frame."""
        meant = occurrence.chains.before(occurrence.at)
        if meant == _FRAME_DOCUMENT:
            fits = self._frame_writes.add(join(texts(occurrence.arguments)))
            self.is_truncated = self.is_truncated or not fits
        elif meant == (*TOP, "document"):
            self.keep(self.inserted, texts(occurrence.arguments))
        elif meant == ("document",) or occurrence.owner == "document":
            self._add_written(occurrence.arguments)

    def _add_written(self, pieces: list[Value]) -> None:
        """Record written HTML; it ends where a part of it is unknown."""
        fits = self._writes.add(join(texts(pieces)))
        self.is_truncated = self.is_truncated or not fits
        if not all(isinstance(piece, str) for piece in pieces):
            self.keep(self.written, self._writes.take())


def texts(values: Iterable[Value]) -> list[str]:
    """Return the texts, and the known beginnings of partial texts."""
    return [x.text if isinstance(x, Prefix) else x for x in values if isinstance(x, (str, Prefix))]
