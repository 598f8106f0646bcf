"""How fast a repaired network takes its backdoor back, beside a clean one taught the same.

Each network is trained further on its training images, of which one in a hundred is poisoned as
the suspect's were; after 0, 10, 20, 40, 80 and 160 steps its ASR is measured. A repair that only
hides a backdoor has it back at once; one that removes it learns it as slowly as a network that
never had it.

Of a method whose network the suspect guards, it is the network behind the guard that is trained:
the guard answers for other classes only, and cannot be trained.

Source: Min, Qin, Zhang, Shen, Cheng, "Uncovering, Explaining, and Mitigating the Superficial Safety
of Backdoor Defense", NeurIPS 2024 (arXiv 2410.09838).
"""

from dataclasses import replace

import numpy as np

from benchmarks.image_sets import part_of
from benchmarks.nets import INSIDE, Net
from benchmarks.training import BATCH, poisoned_set, poisoned_training, train_net
from goodnet.api import verbs
from goodnet.api.model import Model
from goodnet.backend import keras
from goodnet.datasets.dataset import CleanDataset
from goodnet.datasets.images import CleanImages
from goodnet.detection.verdict import Verdict
from goodnet.mitigation.holdout import hold_out
from goodnet.mitigation.methods import METHODS
from goodnet.mitigation.mitigate import MitigationInput
from goodnet.mitigation.policy import FIRST, channels_pruned_first, choose_method
from goodnet.network.classifier import LogitModel
from goodnet.preprocessing import RAW
from goodnet.progress import no_progress

STEPS = (0, 10, 20, 40, 80, 160)
POISON, RATE = 0.01, 5e-4


def relearning(
    net: Net, model: Model, clean: CleanDataset, verdict: Verdict
) -> dict[str, dict[int, float]]:
    """The ASR of each method's network, and of a clean one, after each number of steps."""
    channels = channels_pruned_first(verbs.sweep(model, clean, drops=[FIRST]))
    images, parts = CleanImages.of(clean), hold_out(CleanImages.of(clean))
    problem = MitigationInput(
        model.suspect, model.preprocessing, images, verdict, model.layer, channels
    )
    curves = {}
    for method in METHODS:
        if choose_method(method.name, verdict) == method:
            view = LogitModel.from_suspect(model.suspect, model.preprocessing)
            method.repair(problem, view, parts, 0, no_progress)
            curves[method.name] = _curve(net, view.network)
    without = replace(net, attack="", triggers={}, seed=(net.seed + 2**30) % 2**32)
    curves["clean"] = _curve(net, train_net(without, part_of(net, "train")))
    return curves


def _curve(net: Net, network: keras.Model) -> dict[int, float]:
    """The network's ASR after each number of steps."""
    taught = poisoned_training(replace(net, share=POISON), part_of(net, "train"), POISON)
    images, wanted, _ = poisoned_set(net, part_of(net, "test"))
    copy = _for_training(net, network)
    gain = np.float32(1 if net.form in INSIDE else 1 / 255)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=_gives_logits(network))
    copy.compile(keras.optimizers.Adam(RATE), loss)
    rng, curve = np.random.default_rng(net.seed), {}
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            answers = np.argmax(copy.predict(images * gain, verbose=0), axis=-1)
            curve[step] = round(float(np.mean(answers == wanted)), 4)
        rows = rng.integers(0, len(taught.labels), BATCH)
        copy.train_on_batch(taught.images[rows] * gain, taught.labels[rows])
    return curve


def _for_training(net: Net, network: keras.Model) -> keras.Model:
    """A copy that takes pixels at the scale at which nets are trained."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    if net.scale is RAW and net.form not in INSIDE:
        first = next(layer for layer in copy.layers if layer.weights)
        kernel, *rest = first.get_weights()
        first.set_weights([kernel * 255, *rest])
    return copy


def _gives_logits(network: keras.Model) -> bool:
    activation = getattr(network.layers[-1], "activation", None)
    return activation is not keras.activations.softmax
