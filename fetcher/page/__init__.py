"""Reads HTML into evidence; nothing else looks inside a page, and this only in a child process."""
