"""Records Chromium's observations of the cases: python -m tests.browser.record [KIND…].

Writes tests/browser/recorded/KIND.json. The tests compare the fetcher with these files.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from tests.browser.case import Observation
from tests.browser.cases import kinds
from tests.browser.chromium import observe
from tests.support.browser import Browser

FOLDER = Path(__file__).parent / "recorded"


def recorded(kind: str) -> dict[str, dict[str, object]]:
    """Return the recorded observations of a kind by case name, only the compared fields."""
    path = FOLDER / f"{kind}.json"
    found: dict[str, dict[str, object]] = {}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    return found


def compared(observation: Observation, names: tuple[str, ...]) -> dict[str, object]:
    """Return the named fields as JSON values."""
    values = dataclasses.asdict(observation)
    return {name: json.loads(json.dumps(values[name])) for name in names}


def main(names: list[str]) -> None:
    """Record the named kinds, or all."""
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder))
        try:
            for kind, cases in kinds().items():
                if names and kind not in names:
                    continue
                found = {x.name: compared(observe(x, browser), x.compare) for x in cases}
                text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
                (FOLDER / f"{kind}.json").write_text(text + "\n", encoding="utf-8")
                sys.stdout.write(f"{kind}: {len(found)} cases\n")
        finally:
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
