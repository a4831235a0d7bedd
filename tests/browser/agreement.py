"""Prints how often the fetcher agrees with Chromium: python -m tests.browser.agreement."""

import sys

from tests.browser import ours
from tests.browser.cases import kinds
from tests.browser.record import compared, recorded


def main() -> int:
    """Print the numbers of each kind; return 1 if a difference is unexplained."""
    unexplained = 0
    for kind, cases in kinds().items():
        known = recorded(kind)
        equal = explained = 0
        for case in cases:
            is_equal = compared(ours.observe(case), case.compare) == known[case.name]
            equal += is_equal
            explained += bool(case.explained) and not is_equal
            if not is_equal:
                reason = case.explained or "NOT EXPLAINED"
                sys.stdout.write(f"  {kind} {case.name}: {reason}\n")
        unexplained += len(cases) - equal - explained
        line = f"{kind}: {len(cases)} inputs, {equal} equal, {explained} explained differences"
        sys.stdout.write(f"{line}\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
