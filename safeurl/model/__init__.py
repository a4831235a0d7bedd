"""Scans, their evidence and their records, as plain values."""
