"""`safeurl doctor`: checks on the host that SafeURL works and that its isolation holds."""
