#!/usr/bin/env python3
"""Check that every requirement of every installed package is met: `check_requirements.py LEFT_OUT`.

As `pip check` does, but for the packages that the file LEFT_OUT names: those must not be there.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def left_out(lines: list[str]) -> set[str]:
    """Return the names that the file lists."""
    wanted = (line for line in lines if line.strip() and not line.startswith("#"))
    return {canonicalize_name(Requirement(line).name) for line in wanted}


def faults(installed: dict[str, Distribution], allowed: set[str]) -> Iterator[str]:
    """Name each requirement that is not met, and what should not have been installed."""
    for name in sorted(allowed & installed.keys()):
        yield f"{name} is installed, and should be left out."
    for name, package in sorted(installed.items()):
        for text in package.requires or ():
            wanted = Requirement(text)
            found = installed.get(needed := canonicalize_name(wanted.name))
            if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
                continue
            if found is None and needed not in allowed:
                yield f"{name} requires {text}, which is not installed."
            elif found is not None and not wanted.specifier.contains(
                found.version, prereleases=True
            ):
                yield f"{name} requires {text}, but {found.version} is installed."


def main(file: str) -> int:
    """Print every fault; return 1 where there is one."""
    installed = {canonicalize_name(each.name): each for each in distributions()}
    found = list(faults(installed, left_out(Path(file).read_text(encoding="utf-8").splitlines())))
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
