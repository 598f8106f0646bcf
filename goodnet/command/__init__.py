"""The command `goodnet`: a module for each of its commands, imported when it is asked for.

Each has EXAMPLE, `add_options(parser)` and `run(options)`, which returns the exit status.
"""
