"""The tests of SafeURL."""
