"""One attempt of one scan."""
