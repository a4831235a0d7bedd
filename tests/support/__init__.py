"""Servers, builders and clocks that tests share."""
