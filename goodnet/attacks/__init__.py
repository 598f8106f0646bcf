"""BadNets of our own making, for demo, tests and benchmarks."""
