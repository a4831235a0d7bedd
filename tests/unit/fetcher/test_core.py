"""The fetcher's image contains exactly the modules of `safeurl` that the fetcher imports."""

import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_LOAD = """
import importlib, pkgutil, sys, fetcher
for module in pkgutil.walk_packages(fetcher.__path__, "fetcher."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*(name for name in sys.modules if name.split(".")[0] in {"safeurl", "worker", "api"}))
"""


def test_the_image_holds_what_the_fetcher_loads() -> None:
    """The list in docker/lib/images.sh equals the modules that an interpreter has imported."""
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    listed = re.search(r"^FETCHER_CORE=\(([^)]*)\)$", _images(), re.MULTILINE)
    assert listed is not None
    files = [f"safeurl/{name}" for name in listed[1].split()]
    modules = {name.removesuffix("/__init__").replace("/", ".") for name in files}
    assert set(loaded) == modules


def _images() -> str:
    return (_ROOT / "docker/lib/images.sh").read_text(encoding="utf-8")
