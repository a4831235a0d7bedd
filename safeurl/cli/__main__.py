"""`python -m safeurl.cli` is `safeurl`."""

from safeurl.cli.app import main

main()
