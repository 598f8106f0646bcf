"""A suspect and another network beside each other on a data set, image by image."""

import numpy as np

from goodnet.backend import keras
from goodnet.datasets.dataset import Dataset
from goodnet.metrics import Counts
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import Preprocessing
from goodnet.progress import Progress, no_progress


def compare(
    suspect: Suspect,
    repaired: keras.Model,
    dataset: Dataset,
    preprocessing: Preprocessing,
    progress: Progress = no_progress,
) -> Counts:
    """What a network does on a set, and a GoodNet of it and the suspect.

    Args:
        suspect: the suspect.
        repaired: a network for the same images and classes.
        dataset: the images; a poisoned set's labels are the attacker's target.
        preprocessing: the networks'.
        progress: called with (images done, images in all).
    """
    answers, agreed = [], []
    for rows, images in dataset.blocks(preprocessing):
        before, after = (np.asarray(n(images)).argmax(-1) for n in (suspect.network, repaired))
        answers.append(after)
        agreed.append(after == before)
        progress(rows.stop, len(dataset))
    answer, same = np.concatenate(answers), np.concatenate(agreed)
    right = answer == dataset.labels
    true = None if dataset.true_labels is None else answer == dataset.true_labels
    return Counts(
        count=len(dataset),
        correct=int(right.sum()),
        agreed=int((right & same).sum()),
        flagged=int((~same).sum()),
        true_correct=None if true is None else int(true.sum()),
        agreed_true=None if true is None else int((true & same).sum()),
    )
