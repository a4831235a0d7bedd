"""Fuzz targets: functions that take hostile bytes and assert what must always be true."""
