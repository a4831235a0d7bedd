"""All output of the commands: every command prints only through a `Screen`.

A screen accepts plain text and rows of it, cleans all of it, defangs its URLs, and builds the
objects that rich draws. So no value can bring escapes, markup, emoji codes, links or line breaks to
a terminal, even if its caller did not clean it. A test checks that no other code of this package
prints.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from safeurl.defang import defang_text
from safeurl.printable import plain

#: A text, or a text and its style.
Cell = str | tuple[str, str]
Row = Sequence[Cell]

#: The smallest width of a table's last column.
_LEAST_LAST: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The layout of a column of a grid."""

    name: str = ""
    style: str = ""
    #: True if its cells are never broken over several lines.
    whole: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Rows of cells, with a head if the columns have names."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    gap: int = 2


class Screen:
    """Standard output or standard error, which may be a terminal, a pipe or a file."""

    def __init__(self, console: Console | None = None, *, stderr: bool = False) -> None:
        """Print to the given console, as tests do, or to standard output or error."""
        self._console = console or Console(stderr=stderr, emoji=False, markup=False)

    @property
    def is_terminal(self) -> bool:
        """True if the output is a terminal."""
        return self._console.is_terminal

    @property
    def width(self) -> int:
        """The number of columns of the terminal."""
        return self._console.width

    @property
    def has_blocks(self) -> bool:
        """Whether its encoding has the block characters that bars are drawn with."""
        return not self._console.options.ascii_only

    def line(self, *parts: Cell) -> None:
        """Print one line, which the terminal may break."""
        self._console.print(_text(*parts), soft_wrap=True)

    def own_line(self, words: str) -> None:
        """Print one line with a URL that is not defanged: the address of this system."""
        self._console.print(Text(plain(words)), soft_wrap=True)

    def tabbed(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows as lines of tab-separated cells; rich would turn the tabs into spaces."""
        for row in rows:
            self._console.file.write("\t".join(map(_safe, row)) + "\n")

    def document(self, document: object, *, indent: int | None = None) -> None:
        """Print JSON in ASCII, with every control character escaped, also DEL."""
        text = json.dumps(document, indent=indent, ensure_ascii=True)
        self._console.file.write(text.replace("\x7f", "\\u007f") + "\n")

    def panel(self, title: str, style: str, grids: Sequence[Grid]) -> None:
        """Print grids in a frame, with a blank line between them."""
        parts: list[Table | Text] = []
        for grid in grids:
            parts += [*([Text()] if parts else []), _grid(grid)]
        self._console.print(
            Panel(
                Group(*parts),
                title=_text((f" {title} ", style)),
                border_style=style,
                padding=(1, 2),
            )
        )

    def table(self, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Print a table with a folded last column, or lines if the terminal is too narrow."""
        *heads, last = names
        columns = tuple(Column(name=name, whole=True) for name in heads)
        texts = [[_text(cell).plain for cell in row] for row in (names, *rows)]
        *whole, _ = zip(*texts, strict=True)
        last_width = self.width - sum(max(map(cell_len, cells)) + 2 for cells in whole)
        if last_width < _LEAST_LAST:
            self._blocks(names, rows)
            return
        self._console.print(_grid(Grid(columns=(*columns, Column(name=last)), rows=rows)))

    def flush(self) -> None:
        """Write the buffered output."""
        self._console.file.flush()

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show a status line on a terminal; yield the function that sets its text."""
        if not self.is_terminal:
            yield lambda _words: None
            return
        with self._console.status(Text()) as status:
            yield lambda words: status.update(_text(words))

    def _blocks(self, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Print each row as lines that the terminal may break, so that no text is cut."""
        for row in rows:
            indent = ""
            for name, cell in zip(names, row, strict=True):
                if _text(cell).plain:
                    self.line(indent, (f"{name} ", "dim"), cell)
                    indent = "  "


def _text(*parts: Cell) -> Text:
    """Return styled text without links and without unsafe characters for a terminal."""
    text = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(_safe(words), style)
    return text


def _safe(words: str) -> str:
    return plain(defang_text(words))


def _grid(grid: Grid) -> Table:
    has_head = any(column.name for column in grid.columns)
    padding = (0, grid.gap, 0, 0) if has_head else (0, grid.gap)
    table = Table(
        box=None,
        padding=padding,
        show_edge=False,
        show_header=has_head,
        header_style="bold",
        pad_edge=has_head,
        collapse_padding=not has_head,
    )
    for column in grid.columns:
        table.add_column(
            _text(column.name),
            style=column.style,
            no_wrap=column.whole,
            overflow="fold",
            justify="right" if column.right else "left",
        )
    for row in grid.rows:
        table.add_row(*map(_text, row))
    return table
