"""The settings: read once from a mapping, checked, and frozen."""

from safeurl.settings.core import Settings

__all__ = ["Settings"]
