"""The HTTP face: takes scans in and shows what became of them; has no way to Docker."""
