"""The cases of the suites in `data`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import webencodings

DATA: Final = Path(__file__).parent / "data"
#: Cases whose text must be a complete URL.
NO_BASE: Final = "about:blank"


@dataclass(frozen=True, slots=True)
class UrlCase:
    """A text, its page, and the URL by the standard; None if it is not a URL."""

    text: str
    base: str | None
    href: str | None


@dataclass(frozen=True, slots=True)
class EncodingCase:
    """A document, sent as text/html, and the name of the character set that it is read in."""

    name: str
    document: bytes
    charset: str


def url_cases() -> tuple[UrlCase, ...]:
    """Return the cases of http and https URLs."""
    rows = json.loads((DATA / "urls.json").read_text(encoding="utf-8"))
    return tuple(UrlCase(*row) for row in rows)


def encoding_cases() -> tuple[EncodingCase, ...]:
    """Return the cases of all files, in their order."""
    found: list[EncodingCase] = []
    for path in sorted(DATA.glob("*.dat")):
        blocks = path.read_bytes().split(b"#data\n")[1:]
        for number, block in enumerate(blocks, start=1):
            document, _, rest = block.partition(b"\n#encoding\n")
            label = webencodings.lookup(rest.split(b"\n")[0].decode("ascii"))
            assert label is not None
            found.append(EncodingCase(f"{path.stem}-{number}", document, label.name))
    return tuple(found)
