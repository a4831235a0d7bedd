"""Figures, printed beside a rival's and never asserted."""
