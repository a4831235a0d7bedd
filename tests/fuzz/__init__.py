"""Fuzz targets: functions that take hostile bytes and assert what must hold whatever they are."""
