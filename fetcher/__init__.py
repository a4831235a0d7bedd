"""The program that runs inside the sandbox: opens one URL and reports what it found."""
