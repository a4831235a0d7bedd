"""Draws README's picture from a real scan: .venv/bin/python docker/picture.py SCAN_ID."""  # noqa: INP001 - a package here would hide the Docker SDK

import asyncio
import os
import re
import sys
from pathlib import Path

from rich.console import Console

from safeurl.bootstrap import open_service
from safeurl.cli.view.render import print_view
from safeurl.cli.view.screen import Screen
from safeurl.cli.view.watch import state_line
from safeurl.defang import safe_url
from safeurl.model.view import ScanView
from safeurl.settings import Settings

_OUTPUT = Path(__file__).parent / "pictures" / "scan.svg"


async def _view(scan_id: str) -> ScanView:
    async with open_service(Settings.read(os.environ)) as service:
        return await service.view(scan_id)


def main() -> None:
    """Print the scan as the terminal showed it, and save that as SVG."""
    view = asyncio.run(_view(sys.argv[1]))
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=100, force_terminal=True, file=nowhere)
        screen = Screen(console)
        screen.line(("$", "bold"), " bash docker/quickstart.sh")
        for entry in view.audit:
            if entry.to_state is not None:
                took = (entry.at - view.scan.created_at).total_seconds()
                line = state_line(entry.to_state, took)
                suffix = f"  {safe_url(view.scan.url)}" if entry.from_state is None else ""
                screen.line(line + suffix)
        print_view(screen, view)
        # The fonts it would fetch from elsewhere: a reader's own monospace serves.
        drawing = re.sub(
            r"@font-face \{.*?\}\s*", "", console.export_svg(title="SafeURL"), flags=re.DOTALL
        )
        _OUTPUT.write_text(drawing)


if __name__ == "__main__":
    main()
