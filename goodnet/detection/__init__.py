"""Whether a suspect is backdoored, for which classes, and by what trigger: from clean images alone.

Nothing in this package takes a poisoned or a test image: what may not be seen is not a parameter.

Not part of a repair yet: the thresholds have still to be tried on networks that they were not
chosen on.
"""
