"""Records what Chromium makes of the cases: python -m tests.browser.record [KIND…].

Writes tests/browser/recorded/KIND.json, which the tests compare the fetcher with.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from tests.browser.case import Seen
from tests.browser.cases import kinds
from tests.browser.chromium import observe
from tests.support.browser import Browser

FOLDER = Path(__file__).parent / "recorded"


def recorded(kind: str) -> dict[str, dict[str, object]]:
    """Return the recorded observations of a kind, by the case's name; those compared alone."""
    path = FOLDER / f"{kind}.json"
    found: dict[str, dict[str, object]] = {}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    return found


def compared(seen: Seen, names: tuple[str, ...]) -> dict[str, object]:
    """Return the named fields as JSON holds them."""
    values = dataclasses.asdict(seen)
    return {name: json.loads(json.dumps(values[name])) for name in names}


def main(names: list[str]) -> None:
    """Record the kinds named, or all."""
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
