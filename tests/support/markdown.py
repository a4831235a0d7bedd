"""The parts of the pages for people that tests read: links, headings, code, references."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_REFERENCE = re.compile(r"([\w./-]+\.py)::([\w.]+)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A function or class that a page names as `path.py::name`."""

    path: str
    name: str


def fences(text: str) -> list[Fence]:
    """Return the blocks of code."""
    return [Fence(language, body) for language, body in _FENCE.findall(text)]


def prose(text: str) -> str:
    """Return the text without its blocks of code."""
    return _FENCE.sub("", text)


def code_spans(text: str) -> list[str]:
    """Return the text between backticks in the prose."""
    return _CODE.findall(prose(text))


def links(text: str) -> list[str]:
    """Return the targets of all links and pictures."""
    return _LINK.findall(prose(text))


def headings(text: str) -> list[str]:
    """Return the text of all headings."""
    return _HEADING.findall(prose(text))


def anchors(text: str) -> set[str]:
    """Return the anchors that hosting services give to the headings."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(text))
    return {word.replace(" ", "-") for word in words}


def references(text: str) -> list[Reference]:
    """Return the functions and classes that the prose names."""
    return [Reference(*found) for found in _REFERENCE.findall(prose(text))]


def defined_in(path: Path) -> set[str]:
    """Return the names of the functions, classes and methods (`Class.method`) of a module."""
    return set(_names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _names(node.body, f"{prefix}{node.name}.")
