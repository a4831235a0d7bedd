"""Reads the HTML and the frames that the scripts of a page make, for what they run in turn."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from fetcher.page.code import WITH_HANDLERS, PageScripts
from fetcher.page.evidence import LinkResolver, attribute, meta_refresh
from fetcher.page.prescan import find_exceeded_limit
from fetcher.page.script.reader import ScriptNavigation, ScriptReader
from safeurl.model.report import MetaRefresh

#: Maximum number of texts and frames of a page that are read.
_MAX_TEXTS = 64
#: Maximum number of characters of all of them.
_MAX_CHARACTERS = 1024 * 1024
#: Scripts write scripts that write: so often that is followed.
_MAX_ROUNDS = 4
_OUTER = frozenset({"_top", "_parent"})


class MadeContent:
    """The content that the scripts of a page make, and the documents of its frames."""

    def __init__(self, reader: ScriptReader, links: LinkResolver) -> None:
        """Create it for the reader of the page's scripts."""
        self._reader, self._links = reader, links
        self.refreshes: list[MetaRefresh] = []
        #: The navigations of the page by its frames.
        self.navigations: list[ScriptNavigation] = []
        self.is_truncated = False
        self._left, self._characters_left = _MAX_TEXTS, _MAX_CHARACTERS
        self._seen: set[str] = set()

    def read(self, code: PageScripts) -> None:
        """Read what the scripts have made until they make no more, within limits."""
        reader = self._reader
        frames, frame_scripts = list(code.frames), list(code.frame_scripts)
        for _ in range(_MAX_ROUNDS):
            found = PageScripts()
            reader.end_writing()
            # Scripts run only in HTML that is written during parsing.
            for text in self._fresh(reader.inserted):
                self._add(found, text, runs_scripts=False)
            for text in self._fresh(reader.written):
                self._add(found, text, runs_scripts=True)
            for text in self._fresh([*frames, *reader.framed, *found.frames]):
                self._read_frame(text)
            scripts = [*frame_scripts, *reader.frame_scripts, *found.frame_scripts]
            for text in self._fresh(scripts):
                self._read_frame_script(text)
            frames, frame_scripts = [], []
            if not (found.scripts or found.handlers):
                return
            reader.read(*found.scripts, *found.handlers)
        self.is_truncated = True

    def _fresh(self, texts: list[str]) -> Iterator[str]:
        """Yield the texts that have not been read yet, within the limit."""
        for text in tuple(texts):
            if text in self._seen:
                continue
            if self._left <= 0 or len(text) > self._characters_left:
                self.is_truncated = True
                return
            self._left -= 1
            self._characters_left -= len(text)
            self._seen.add(text)
            yield text

    def _add(
        self, found: PageScripts, text: str, *, runs_scripts: bool, is_frame: bool = False
    ) -> None:
        """Add the scripts, handlers, frames and refreshes of a text."""
        if find_exceeded_limit(text):
            self.is_truncated = True
            return
        wanted = f"meta[http-equiv], script, iframe, frame, {WITH_HANDLERS}"
        for node in LexborHTMLParser(text).css(wanted):
            attributes, tag = node.attributes, node.tag or ""
            if tag == "script":
                if runs_scripts:
                    source = attribute(attributes, "src")
                    found.add_script(attributes, node.text(deep=True), source)
                continue
            if (
                tag == "meta"
                and not is_frame
                and attribute(attributes, "http-equiv").lower() == "refresh"
            ):
                refresh = meta_refresh(attribute(attributes, "content"), self._links)
                self.refreshes += [refresh] if refresh else []
            elif tag in {"iframe", "frame"}:
                found.add_frame(attributes)
            found.add_handlers(tag, node)

    def _read_frame(self, text: str, depth: int = 0) -> None:
        """Read the document of a frame for what navigates the page itself."""
        if find_exceeded_limit(text) or depth > _MAX_ROUNDS:
            self.is_truncated = True
            return
        document, found = _Frame(text), PageScripts()
        self._add(found, text, runs_scripts=True, is_frame=True)
        reader = self._reader.of_frame(document.links)
        reader.read(*found.scripts, *found.handlers)
        reader.end_writing()
        self._take(reader, document)
        inner = [*found.frames, *reader.framed, *reader.written, *reader.inserted]
        for each in self._fresh(inner):
            self._read_frame(each, depth + 1)

    def _read_frame_script(self, code: str) -> None:
        """Read the script in a frame's URL; its value may be the frame's document."""
        reader = self._reader.of_frame({})
        reader.read(code)
        self._take(reader, None)
        value = reader.value(code)
        for text in self._fresh([value] if value else []):
            self._read_frame(text)

    def _take(self, reader: ScriptReader, document: "_Frame | None") -> None:
        """Take the navigations of a frame that navigate the page."""
        self.is_truncated = self.is_truncated or reader.is_truncated
        for navigation in reader.navigations:
            if not navigation.is_form:
                self.navigations.append(navigation)
            elif document is not None and document.forms:
                url = navigation.url or document.forms[0]
                self.navigations.append(ScriptNavigation(url, navigation.delay_s))


class _Frame:
    """The links and forms of a frame's document that lead the page itself elsewhere."""

    def __init__(self, text: str) -> None:
        tree = LexborHTMLParser(text)
        base = tree.css_first("base[target]")
        default = attribute(base.attributes, "target") if base is not None else ""
        self.links: dict[str, str] = {}
        for node in tree.css("a[href], area[href]"):
            if (attribute(node.attributes, "target") or default).lower() in _OUTER:
                self.links.setdefault(node.id or "", attribute(node.attributes, "href"))
        self.forms = [
            attribute(node.attributes, "action")
            for node in tree.css("form")
            if (attribute(node.attributes, "target") or default).lower() in _OUTER
        ]
