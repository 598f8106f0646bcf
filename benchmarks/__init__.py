"""Measurements: what a repair costs, and how good verdicts and repairs are."""
