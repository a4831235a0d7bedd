#!/usr/bin/env python3
"""Print the bill of materials of a lock in CycloneDX 1.6: `sbom.py NAME LOCK`.

Every package with its version, its package URL and the hashes of the files that may be installed.
"""

import json
import re
import sys
from pathlib import Path

_PACKAGE = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)(?:\[[a-z,-]+\])?==(?P<version>\S+) \\")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill(name: str, lock: str) -> dict[str, object]:
    """Return the document for the text of a lock."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": name}},
        "components": [_component(entry) for entry in _entries(lock)],
    }


def _entries(lock: str) -> list[str]:
    """Split a lock: a package begins a line, its hashes are indented."""
    return [entry for entry in re.split(r"\n(?=\S)", lock) if entry.strip()]


def _component(entry: str) -> dict[str, object]:
    head = _PACKAGE.match(entry)
    if head is None:
        raise SystemExit(f"This is no line of a lock: {entry.splitlines()[0]}")
    purl = f"pkg:pypi/{head['name']}@{head['version']}"
    files = [
        {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": digest}]}
        for digest in _HASH.findall(entry)
    ]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": head["name"],
        "version": head["version"],
        "purl": purl,
        "externalReferences": files,
    }


if __name__ == "__main__":
    text = Path(sys.argv[2]).read_text(encoding="utf-8")
    sys.stdout.write(json.dumps(bill(sys.argv[1], text), indent=2) + "\n")
