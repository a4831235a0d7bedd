"""No behaviour depends on the text of a message: no product code compares one.

A message is text for people: the text of an exception, or a sentence. Code that compares it breaks
when somebody changes the text. Facts are fields instead. The allow-list names the libraries that
have no other way.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PACKAGES = ("safeurl", "worker", "api", "fetcher")

#: File and function of each comparison with the message of a library that offers no code for it.
ALLOWED = {
    # SQLite has one code, SQLITE_ERROR, for a missing table and for every other wrong statement;
    # sqlite3 raises OperationalError without any code for text that is not UTF-8.
    ("safeurl/adapters/sqlite/database.py", "_raise_ours"),
    # A libSQL server passes on the code and the message of SQLite.
    ("safeurl/adapters/libsql/failure.py", "sql_failure"),
    # Docker's status for an unknown runtime is the one of every invalid option.
    ("worker/sandbox/engine.py", "_is_unknown_runtime"),
}

_COMPARING = {"startswith", "endswith", "removeprefix", "find", "index", "partition", "split"}
#: Names of variables and fields that hold text for people.
_MESSAGES = {"detail", "message", "msg", "reason_text", "sentence", "summary"}
#: Names that hold an exception in our code.
_ERRORS = {"error", "exc", "cause", "failure", "exception", "err"}
#: At least two words and the form of a sentence: a capital at the beginning or a stop at the end.
_SENTENCE = re.compile(r"([A-Z][a-z]+|[A-Z]) \S+.*|\S+ .*[a-z]\.", re.DOTALL)


def is_message(node: ast.expr) -> bool:
    """Return whether the expression is the text of an exception, or a field for people."""
    found = False
    match node:
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[argument]):
            found = _name(argument) in _ERRORS
        case ast.Call(func=ast.Attribute(value=value, attr="lower" | "casefold" | "strip")):
            found = is_message(value)
        case ast.Subscript(slice=ast.Constant(value=str())):
            pass  # the value of a dictionary
        case ast.Attribute(attr="args", value=value) | ast.Subscript(value=value):
            found = _name(value) in _ERRORS or is_message(value)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            found = name in _MESSAGES or name.endswith(("_detail", "_message"))
        case _:
            pass
    return found


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def is_sentence(node: ast.expr) -> bool:
    """Return whether the expression is, or contains, a constant sentence."""
    match node:
        case ast.Constant(value=str(text)):
            return _SENTENCE.fullmatch(text) is not None
        case ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.List(elts=parts):
            return any(map(is_sentence, parts))
        case _:
            return False


def is_text(node: ast.expr) -> bool:
    """Return whether the expression is some text, constant or not, that is not empty."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, str) and value != ""
        case _:
            return True


def comparisons(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the function and the line of each comparison with the text of a message."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in _own(function):
                if isinstance(node, ast.expr | ast.stmt) and _compares(node):
                    yield function.name, node.lineno


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of the functions inside."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _own(node)


def _compares(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[right]):
            return (is_message(right) and is_text(left)) or is_sentence(right)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            sides = (left, right)
            is_compared = any(map(is_message, sides)) and any(map(_is_constant_text, sides))
            return is_compared or any(map(is_sentence, sides))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[_, subject, *_]):
            return is_message(subject)
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=[first, *_]):
            return method in _COMPARING and (
                (is_message(value) and is_text(first))
                or (method in {"startswith", "endswith"} and is_sentence(first))
            )
        case ast.Match(subject=subject):
            return is_message(subject)
        case _:
            return False


def _is_constant_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != ""


def product_files() -> list[Path]:
    """Return the modules of the product."""
    return sorted(path for name in _PACKAGES for path in (ROOT / name).rglob("*.py"))


def test_no_product_code_compares_the_text_of_a_message() -> None:
    """Each comparison is one of the allowed ones, and each allowed one still exists."""
    found = {
        (str(path.relative_to(ROOT)), name): line
        for path in product_files()
        for name, line in comparisons(ast.parse(path.read_text()))
    }
    unexpected = [
        f"{path}:{line} {name}"
        for (path, name), line in found.items()
        if (path, name) not in ALLOWED
    ]
    assert unexpected == []
    assert found.keys() >= ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "'locked' in str(error)",
        "'locked' not in str(exc).lower()",
        "str(error).startswith(PREFIX)",
        "str(cause) == 'database is locked'",
        "health.detail.startswith(EMBEDDED)",
        "beat.detail.endswith('.')",
        "text.startswith('The gateway ')",
        "text == 'The gateway does not answer.'",
        "text in {'The gateway does not answer.', 'x'}",
        "error.args[0] == 'locked'",
        "re.search('locked', str(error))",
        "error.message.partition(':')",
    ],
)
def test_a_comparison_is_found(source: str) -> None:
    """Each form of a comparison with the text of a message is recognised."""
    tree = ast.parse(f"def function():\n    return {source}\n")
    assert [name for name, _ in comparisons(tree)] == ["function"]


@pytest.mark.parametrize(
    "source",
    [
        "'%' in str(address)",
        "name.startswith('safeurl-')",
        "status == 'degraded'",
        "error.errno == errno.ENOENT",
        "detail == ''",
        "line.startswith('HTTP/1.1 200')",
        "message['type'] == 'http.disconnect'",
        "f'{detail} and more'",
    ],
)
def test_other_comparisons_are_not(source: str) -> None:
    """Comparisons of codes, names and protocol lines are allowed."""
    tree = ast.parse(f"def function():\n    return {source}\n")
    assert list(comparisons(tree)) == []
