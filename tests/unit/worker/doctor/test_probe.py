"""The probe is sent as text: it must work without any of our packages."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from worker.doctor import probe
from worker.doctor.probe_runner import probe_command

_FOLDER = Path(str(probe.__file__)).parent


def imported(path: Path) -> set[str]:
    """Return the top-level names of the module's imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            ours = str(node.module).startswith(probe.__name__)
            names.add(probe.__name__ if ours else str(node.module).partition(".")[0])
    return names


def test_the_probe_imports_the_standard_library_and_itself() -> None:
    """The fetcher's image has neither the worker nor its libraries."""
    modules = sorted(_FOLDER.glob("*.py"))
    assert len(modules) > 5
    allowed = {*sys.stdlib_module_names, probe.__name__}
    assert {path.name: imported(path) - allowed for path in modules} == {
        path.name: set() for path in modules
    }


def test_the_probe_answers_line_by_line_and_outlives_a_vector_that_breaks(tmp_path: Path) -> None:
    """It runs from its command line alone; an unknown or failing vector stops no other one."""
    task = {"vectors": ["interfaces", "no such vector", "connections"], "connections": []}
    command = [sys.executable, *probe_command(task)[1:]]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, timeout=60)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["vector"] for each in answers] == task["vectors"]
    assert "lo" in answers[0]["facts"]
    assert "KeyError" in answers[1]["error"]
    assert answers[2]["facts"] == {}
