"""Measure the CPU seconds of each stage of a repair without Prefect; `benchmarks.profile` runs it.

Writes a line for each stage: its name, a tab, and the seconds of this process.
"""

import argparse
import time


def main(model: str, data: str) -> None:
    """Open, sweep and evaluate; imports are stages, too."""
    since = time.process_time()

    def end(stage: str) -> None:
        nonlocal since
        now = time.process_time()
        print(f"{stage}\t{now - since:.2f}")
        since = now

    import goodnet

    end("import goodnet")
    from goodnet.evaluation.results import pruned_models, states_of
    from goodnet.pruning.sweep import tally

    suspect = goodnet.load_model(model)
    end("import tensorflow, open the suspect (its reader is a process beside)")
    clean = goodnet.load_images(f"{data}/clean/valid.h5", suspect)
    end("open the clean validation set, trace the functions, find the preprocessing: two passes")
    test = goodnet.load_images(f"{data}/clean/test.h5", suspect)
    bd_valid, bd_test = (
        goodnet.load_images(f"{data}/bd/bd_{name}.h5", suspect, poisoned=True)
        for name in ("valid", "test")
    )
    end("open three more data sets")
    curve = goodnet.sweep(suspect, clean, poisoned=bd_valid)
    end("measure activations, from the cache of the pass before; sweep two sets")
    states = states_of([curve], pruned_models([curve], ".h5"))
    for images in (test, bd_test):
        tally(suspect.split, images, suspect.preprocessing, states)
    end("evaluate on two sets")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data")
    main(**vars(parser.parse_args()))
