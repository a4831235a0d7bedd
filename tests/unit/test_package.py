"""The built package: a wheel contains all files that type checkers and the code need."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("safeurl", "worker", "api", "fetcher")


def test_a_wheel_says_that_its_packages_are_typed(tmp_path: Path) -> None:
    """Each package has `py.typed` (PEP 561), and every data file of the checkout is there."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    ours = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert ours <= names
    assert "safeurl/adapters/sql/schema.sql" in names
