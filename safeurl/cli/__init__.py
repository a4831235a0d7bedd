"""The command line: `safeurl` and `submit-scan`."""

from safeurl.cli.app import main, submit_main

__all__ = ["main", "submit_main"]
