"""A network cut in two: together the parts are the network, wherever it is cut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import IMAGE_SHAPE, NETWORKS

from goodnet.network.classifier import LogitModel
from goodnet.network.cut import Cut, find_cut
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW


@pytest.mark.parametrize("name", ["plain", "residual", "siamese", "shared", "attention"])
def test_both_parts_together_are_the_network(
    name: str, as_suspect: Callable[[Any], Suspect]
) -> None:
    """A front that does less leaves more weights to train; no shortcut leads around it."""
    view = LogitModel.from_suspect(as_suspect(NETWORKS[name]()), RAW)
    images = np.random.default_rng(0).random((3, *IMAGE_SHAPE), dtype=np.float32)
    whole, trained = np.asarray(view.logits(images)), []
    for share in (1.0, 0.5, 0.1):
        cut = find_cut(view, share)
        logits = np.asarray(cut.rest(cut.front(images)))
        np.testing.assert_allclose(logits, whole, rtol=1e-5, atol=1e-4)
        trained.append(len(cut.variables))
    assert trained == sorted(trained, reverse=True)
    assert len(view.network.trainable_variables) >= trained[0] > 0
    assert Cut(view, None).variables == view.network.trainable_variables


def test_the_cut_is_the_first_that_leaves_little_enough(
    as_suspect: Callable[[Any], Suspect],
) -> None:
    """The first convolution is four fifths of the network's work, the two dense layers a fiftieth.

    There is no place behind which there is nothing to do.
    """
    view = LogitModel.from_suspect(as_suspect(NETWORKS["plain"]()), RAW)
    places = [find_cut(view, share).place for share in (0.5, 0.05, 0.0)]
    assert [place and place.layer for place in places] == ["conv_1", "conv_2", None]
