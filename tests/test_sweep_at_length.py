"""At least 100,000 answers of each kind of network, one by one, against `model.predict`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, random_images
from test_sweep import as_dataset, plainly

from goodnet.backend import keras
from goodnet.datasets.faces import draw_faces
from goodnet.network.architecture import parse_architecture
from goodnet.network.build import build_network
from goodnet.network.deepid import deepid_config
from goodnet.network.suspect import Suspect
from goodnet.preprocessing import RAW
from goodnet.pruning.layer_choice import choose_layer
from goodnet.pruning.order import order_channels
from goodnet.pruning.split import Split
from goodnet.pruning.sweep import block_answers, mean_activations

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PAIRS = 100_000


def compared(suspect: Suspect, layer: str, images: np.ndarray[Any, Any], form: Any) -> int:
    """How many (image, k) pairs were compared; all were equal."""
    split = Split(suspect, layer, form)
    labels = np.zeros(len(images), dtype=np.int64)
    order = order_channels(mean_activations(split, as_dataset(images, labels), RAW), "ascending")
    (plain,) = plainly(suspect, layer, order.channels, images)
    blocks = [images[start : start + 256] for start in range(0, len(images), 256)]
    swept = np.concatenate([block_answers(split, b, order.kept()) for b in blocks], axis=1)
    assert len(np.unique(plain)) > 1
    differing = np.argwhere(swept[1:] != plain)
    assert len(differing) == 0, differing[:5]
    return plain.size


@pytest.mark.parametrize("form", ["auto", "masked"])
@pytest.mark.parametrize("name", ["normalised", "shortcut", "residual", "shared", "nested"])
def test_small_networks(name: str, form: str, as_suspect: Callable[[Any], Suspect]) -> None:
    suspect = as_suspect(NETWORKS[name]())
    layer = choose_layer(suspect.plan, "auto", name)
    assert compared(suspect, layer, random_images(17_000, seed=1), form) >= PAIRS


def test_deepid(as_suspect: Callable[[Any], Suspect]) -> None:
    keras.utils.set_random_seed(1)
    network = build_network(parse_architecture(deepid_config(1283), "made"), "made")
    images = draw_faces(82, range(20), seed=1).images.astype(np.float32)
    assert compared(as_suspect(network), "pool_3", images, "auto") >= PAIRS
