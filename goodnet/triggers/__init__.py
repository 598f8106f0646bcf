"""Triggers: what they are, where they may be, and what they do."""
