"""Log lines that quoted text cannot forge: one record is one line.

URLs, titles, errors of the engine and names of workers are foreign text. Their line breaks and
control characters are escaped as in Python. A traceback keeps its lines, each of them indented, so
that none looks like a record.
"""

import logging
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from safeurl.defang import defang_text
from safeurl.permissions import open_private
from safeurl.printable import escaped

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_INDENT: Final = "    "


class LineFormatter(logging.Formatter):
    """Formats a record as one line, and its traceback as indented lines below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return the record's line without its traceback."""
        return escaped(defang_text(super().formatMessage(record)))

    # No annotation of the argument fits the base class in all checked versions.
    def formatException(self, ei) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001, N802
        """Return the traceback, indented."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base class's name
        """Return the stack, indented."""
        return _indented(super().formatStack(stack_info))


class _PrivateFileHandler(logging.FileHandler):
    """Appends to a file that only this user can read."""

    def _open(self) -> TextIOWrapper:
        return open_private(Path(self.baseFilename))


def log_to(level: str, file: Path | None = None) -> None:
    """Send this process's log lines to standard error, or to a file."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = logging.StreamHandler() if file is None else _PrivateFileHandler(file)
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def clean_last_resort() -> None:
    """Format the lines of processes without a log configuration in the same way."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())


def _indented(text: str) -> str:
    # Not splitlines: it splits at characters that are escaped here.
    return "\n".join(f"{_INDENT}{escaped(defang_text(line))}" for line in text.split("\n"))
