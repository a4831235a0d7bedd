#!/usr/bin/env python3
"""Judge what pip-audit found: `audit_result.py FILE`, its JSON document.

Exit code: 0 every package was looked up and none is vulnerable; 1 some are; 75 the source did not
answer for all of them, which is no pass. pip-audit itself ends with 0 where it looked nothing up.
"""

import json
import sys
from pathlib import Path

_VULNERABLE = 1
#: EX_TEMPFAIL, as for everything that is away.
_NO_ANSWER = 75


def judge(text: str) -> tuple[int, str]:
    """Return the exit code and the sentence for the document; an empty one is no answer."""
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    known = [package for package in packages if "vulns" in package]
    bad = [f"{each['name']} {each['version']}" for each in known if each["vulns"]]
    if bad:
        return _VULNERABLE, f"Known vulnerabilities in: {', '.join(bad)}."
    if not known:
        return _NO_ANSWER, "No vulnerability source answered: nothing was checked."
    if len(known) < len(packages):
        lacking = len(packages) - len(known)
        return _NO_ANSWER, f"The source does not know {lacking} packages: they were not checked."
    return 0, f"No known vulnerability in {len(known)} packages."


if __name__ == "__main__":
    file = Path(sys.argv[1])
    code, sentence = judge(file.read_text(encoding="utf-8") if file.exists() else "")
    sys.stdout.write(sentence + "\n")
    sys.exit(code)
