"""Collects the scripts, handlers and frames of a page that run without input."""

import re
from urllib.parse import unquote

from msgspec import Struct, field

from fetcher.page.evidence import Attributes, Element, attribute
from fetcher.page.script.sources import source_text
from fetcher.sanitize import HTML_SPACES, strip_reference

_WORDS = re.compile(rf"[^{HTML_SPACES}]++")
#: Longer than any scheme with the white space around it that a page may have.
_MAX_SCHEME = 256
#: Types of scripts that browsers execute: modules and the JavaScript types of the MIME Sniffing
#: standard.
_TYPES = frozenset(
    {
        *("module", "text/jscript", "text/livescript"),
        *(
            f"{kind}/{x}{name}"
            for kind in ("text", "application")
            for x in ("", "x-")
            for name in ("javascript", "ecmascript")
        ),
        *(f"text/javascript1.{version}" for version in range(6)),
    }
)
#: Elements that load a resource and may run a load handler.
_LOADING = frozenset(
    {
        *("body", "frameset", "iframe", "frame", "img", "svg", "link", "style", "script", "input"),
        *("object", "embed", "video", "audio", "track", "source", "image"),
    }
)
_LOAD_HANDLERS = ("onload", "onpageshow", "onerror", "onloadstart")
#: Handlers of what starts by itself: animations, the display and the focus of an inner element.
_OWN_HANDLERS = (
    *("onanimationstart", "onanimationend", "onwebkitanimationstart", "onwebkitanimationend"),
    *("onbegin", "onend", "oncontentvisibilityautostatechange", "onfocusin"),
    *("onanimationiteration", "ontransitionrun", "ontransitionstart", "ontransitionend"),
    *("oninvalid", "onslotchange"),
)
#: Handlers of the window, for events that the page's own scripts cause.
_WINDOW_HANDLERS = ("onhashchange", "onmessage")
#: Selects the elements in markup of scripts that may have handlers of these kinds.
WITH_HANDLERS = ", ".join(
    f"[{name}]" for name in (*_LOAD_HANDLERS, *_OWN_HANDLERS, "onfocus", "ontoggle")
)


class PageScripts(Struct):
    """The scripts of a page that run while it loads, in their order."""

    scripts: list[str] = field(default_factory=list)
    #: Code of `onload` attributes; it runs after all scripts.
    handlers: list[str] = field(default_factory=list)
    #: Targets of links by id.
    links: dict[str, str] = field(default_factory=dict)
    #: Documents and scripts of frames.
    frames: list[str] = field(default_factory=list)
    frame_scripts: list[str] = field(default_factory=list)

    def add_script(self, attributes: Attributes, text: str, source: str = "") -> None:
        """Add a `script` element with its text, or with the text in its `data:` URL."""
        # Chromium also removes the vertical tab here.
        kind = attribute(attributes, "type").strip(f"{HTML_SPACES}\v").lower()
        if not kind:
            language = "" if "type" in attributes else attribute(attributes, "language").lower()
            kind = f"text/{language or 'javascript'}"
        code = source_text(source) if source else text
        if kind in _TYPES and code:
            self.scripts.append(code)

    def add_handlers(self, tag: str, node: Element) -> None:
        """Add the event handlers of an element that run without input."""
        if tag == "a" and node.id:
            self.links.setdefault(node.id, attribute(node.attributes, "href"))
        attributes = node.attributes
        if not attributes:
            return
        names = [*_OWN_HANDLERS, *(_LOAD_HANDLERS if tag in _LOADING else ())]
        names += _WINDOW_HANDLERS if tag == "body" else ()
        names += ["onfocus"] if "autofocus" in attributes else []
        # Closed details open by a click; a script or a command may show other elements.
        names += ["ontoggle"] if tag != "details" or "open" in attributes else []
        names += ["onbeforetoggle"] if tag != "details" else []
        self.handlers += filter(None, (attribute(attributes, name) for name in names))

    def add_frame(self, attributes: Attributes) -> None:
        """Add the document or the script of a frame that may navigate the page."""
        if "sandbox" in attributes:
            allowed = set(_WORDS.findall(attribute(attributes, "sandbox").lower()))
            if not {"allow-scripts", "allow-top-navigation"} <= allowed:
                return
        if "srcdoc" in attributes:
            self.frames.append(attribute(attributes, "srcdoc"))
            return
        source = attribute(attributes, "src")
        scheme, colon, _ = strip_reference(source[:_MAX_SCHEME]).partition(":")
        if colon and scheme.lower() == "javascript":
            self.frame_scripts.append(unquote(strip_reference(source).partition(":")[2]))
