"""Parses pages into evidence. Only this package reads HTML, and only in a child process."""
