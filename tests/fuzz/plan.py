"""Prints the plan of a fuzz run: `python -m tests.fuzz.plan SECONDS [GROUP | TARGET…]`.

The output is the seconds of all targets together, a colon and the targets. A group shares the
seconds; otherwise each target has them.
"""

import sys
from collections.abc import Sequence

from tests.fuzz.targets import GROUPS, TARGETS


class UnknownTargetError(Exception):
    """There is neither a target nor a group of this name, or a group has company."""


def plan(seconds: int, names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return how many seconds the targets have together, and which they are."""
    if len(names) == 1 and names[0] in GROUPS:
        return seconds, GROUPS[names[0]]
    targets = tuple(names or TARGETS)
    for name in targets:
        if name not in TARGETS:
            raise UnknownTargetError(name)
    return seconds * len(targets), targets


def main() -> int:
    """Print the plan; for an unknown name, print the known ones."""
    try:
        total, targets = plan(int(sys.argv[1]), sys.argv[2:])
    except UnknownTargetError:
        sys.stderr.write(f"The targets are: {' '.join(TARGETS)}\n")
        sys.stderr.write(f"The groups, each to be named alone, are: {' '.join(GROUPS)}\n")
        return 2
    sys.stdout.write(f"{total}:{' '.join(targets)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
