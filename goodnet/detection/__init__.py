"""Whether a suspect is backdoored, for which classes, and by what trigger: from clean images alone.

Nothing in this package takes a poisoned or a test image: what may not be seen is not a parameter.
What each method does, when it fails, and what was measured is in docs/methods/.
"""
