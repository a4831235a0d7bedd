"""`safeurl doctor`: shows where it is installed that SafeURL works and that its isolation holds."""
