"""The table of faults in docs/operations.md contains exactly the faults that tests cause."""

import ast

from tests.support.degradation import DEGRADATIONS
from tests.support.documents import ROOT

_FOLDER = ROOT / "tests" / "integration"


def test_each_row_has_its_test_and_each_test_its_row() -> None:
    """Each row has a test, and each test has a row."""
    told = [row.test for row in DEGRADATIONS]
    assert sorted(told) == sorted(_tests())


def test_no_cell_breaks_the_table() -> None:
    """A bar or a line's end in a cell would be read as another cell or row."""
    cells = [cell for row in DEGRADATIONS for cell in (row.fault, row.seen, row.after)]
    assert [cell for cell in cells if "|" in cell or "\n" in cell or not cell.strip()] == []


def _tests() -> list[str]:
    """Return the node id of each test of a fault."""
    return [
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in _FOLDER.glob("test_degradation_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
