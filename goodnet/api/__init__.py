"""The names of `import goodnet`: the method as verbs, without Prefect.

Whatever chooses or trains takes a `CleanDataset`; poisoned and test images are plain `Dataset`s,
which only `evaluate` and the drawn lines of a curve take.
"""
