"""Public conformance suites, compared with our readers and with Chromium; see README.md."""
