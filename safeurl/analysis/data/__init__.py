"""The tables of the rules, which are plain text files in this folder."""

from functools import cache
from pathlib import Path


@cache
def lines(name: str) -> tuple[str, ...]:
    """Return the lines of a table without comments and empty lines."""
    text = Path(__file__).with_name(name).read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def words(name: str) -> frozenset[str]:
    """Return the words of a table whose lines contain several words."""
    return frozenset(word for line in lines(name) for word in line.split())
