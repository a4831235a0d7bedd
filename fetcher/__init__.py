"""What runs inside the sandbox: opens one URL and reports what it saw (`python -m fetcher`)."""
