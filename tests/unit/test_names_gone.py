"""The old names of `tests/support/renamed.py` do not occur in the product."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.support.renamed import FILES, IDENTIFIERS, Renamed

ROOT = Path(__file__).parents[2]
_PACKAGES = ("safeurl", "worker", "api", "fetcher")


@cache
def names() -> dict[str, set[str]]:
    """Return the files that use each identifier, by the identifier."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (path for each in _PACKAGES for path in (ROOT / each).rglob("*.py")):
        file = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            for name in _names(node):
                found[name].add(file)
    return found


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [*name.split("."), *([other] if other else [])]
        case ast.keyword(arg=str(name)):
            return [name]
        case _:
            return []


@pytest.mark.parametrize("renamed", IDENTIFIERS, ids=lambda each: f"{each.under}{each.old}")
def test_no_code_uses_the_old_name(renamed: Renamed) -> None:
    """No class, function, variable, argument or imported module has it."""
    files = {file for file in names()[renamed.old] if file.startswith(renamed.under)}
    assert files == set(), f"the term is {renamed.new}"


@pytest.mark.parametrize("renamed", FILES, ids=lambda each: each.old)
def test_no_file_has_the_old_name(renamed: Renamed) -> None:
    """No module or package of the product, and no module of its test support, has it."""
    roots = [ROOT / each for each in (*_PACKAGES, "tests/support")]
    found = [path for root in roots for path in root.rglob(f"{renamed.old}.py")]
    found += [path for root in roots for path in root.rglob(renamed.old) if path.is_dir()]
    assert found == [], f"the term is {renamed.new}"


def test_no_old_name_is_a_new_one_in_the_same_place() -> None:
    """The table does not replace a name by one that it forbids."""
    everywhere = {each.old for each in IDENTIFIERS if not each.under}
    assert everywhere & {each.new for each in IDENTIFIERS} == set()
