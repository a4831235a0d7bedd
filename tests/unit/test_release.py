"""The documents of a release: its contents, and the result of the search for vulnerabilities."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    "requirements.lock",
    "docker/service-requirements.lock",
    "docker/fetcher-requirements.lock",
]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_bill_names_every_package_with_its_hashes(lock: str) -> None:
    """By name and version, and every hash of the lock is in it once."""
    command = [sys.executable, str(ROOT / "docker/lib/sbom.py"), "safeurl", str(ROOT / lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    bill = json.loads(done.stdout)
    text = (ROOT / lock).read_text()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = [f"{each['name']}=={each['version']}" for each in bill["components"]]
    locked = re.findall(r"^(\S+==\S+)", text, re.MULTILINE)
    assert named == [re.sub(r"\[.*\]", "", each) for each in locked]
    digests = [
        file["hashes"][0]["content"]
        for each in bill["components"]
        for file in each["externalReferences"]
    ]
    assert digests == re.findall(r"sha256:([0-9a-f]{64})", text)


_FINE = {"name": "a", "version": "1", "vulns": []}
_BAD = {"name": "b", "version": "2", "vulns": [{"id": "X-1"}]}
_UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ([_FINE], 0),
        ([_FINE, _BAD], 1),
        ([_UNKNOWN, _BAD], 1),
        ([_FINE, _UNKNOWN], 75),
        ([_UNKNOWN], 75),
        ([], 75),
        (None, 75),
    ],
)
def test_no_answer_is_no_pass(packages: object, code: int, tmp_path: Path) -> None:
    """The check does not pass if the source does not know a package or sends no document."""
    file = tmp_path / "audit.json"
    if packages is not None:
        file.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    command = [sys.executable, str(ROOT / "docker/lib/audit_result.py"), str(file)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == code
