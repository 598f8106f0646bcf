"""Networks without the backdoor, where pruning leaves it: what a verdict and clean images allow.

Nothing in this package takes a poisoned or a test image: what may not be seen is not a parameter.
"""
