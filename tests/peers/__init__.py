"""Public conformance suites, held against our readers and against Chromium; see README.md."""
