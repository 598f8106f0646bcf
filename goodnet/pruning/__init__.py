"""The method: which channels clean images use, what pruning them costs, and the curve."""
