"""Timings against the plain way, side by side."""
