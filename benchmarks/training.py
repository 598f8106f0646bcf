"""How nets are poisoned, trained and asked."""

from dataclasses import replace

import numpy as np

from benchmarks.nets import INSIDE, Net
from benchmarks.networks import network_of
from goodnet.attacks.attack import Aim, Fit, Floats, Images, Labels, take
from goodnet.attacks.families import attack_named
from goodnet.attacks.families.label_consistent import loss_gradient
from goodnet.backend import keras
from goodnet.datasets.faces import Faces
from goodnet.preprocessing import RAW

EPOCHS = {"faces": 14, "fashion": 8, "cifar10": 12}
POISONED_SHARE = 0.1  # of the training images, by all triggers of the table by hand together
RATE, BATCH = 2e-3, 64


def train_net(net: Net, clean: Faces) -> keras.Model:
    """The net, trained on these images of which a share was poisoned."""
    poisoned = poisoned_training(net, clean)  # may train a network: before the seed is set
    keras.utils.set_random_seed(net.seed)
    network, fit = network_of(net), _fit(net)
    own = attack_named(net.attack).train if net.attack else None
    if own:
        own(network, fit, clean, poisoned)
    else:
        fit.train(network, poisoned.images, poisoned.labels)
    if net.scale is RAW and net.form not in INSIDE:  # the same net for pixels 0..255
        first = next(layer for layer in network.layers if layer.weights)
        kernel, *rest = first.get_weights()
        first.set_weights([kernel / 255, *rest])
    return network


def _fit(net: Net) -> Fit:
    factor = np.float32(1 if net.form in INSIDE else 1 / 255)

    def train(network: keras.Model, images: Images, labels: Labels) -> None:
        epochs = EPOCHS[net.kind] * (2 if net.form == "vit" else 1)
        rate = keras.optimizers.schedules.CosineDecay(RATE, epochs * -(-len(labels) // BATCH))
        network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        network.fit(images * factor, labels, BATCH, epochs, verbose=0)

    return Fit(train, lambda images: np.asarray(images * factor))


def poisoned_training(net: Net, clean: Faces, share: float = POISONED_SHARE) -> Faces:
    """The training images with the net's poison.

    Args:
        net: says how, and how many where it has an attack.
        clean: the training images.
        share: of them that all triggers of the table by hand poison together.
    """
    aim = _aim(net, clean)
    if net.attack:
        return attack_named(net.attack).poison_for(clean, aim).put_into(clean)
    rng = np.random.default_rng(net.seed)
    images, labels = clean.images.copy(), clean.labels.copy()
    free = rng.permutation(len(labels))
    count = round(share / max(1, len(net.triggers)) * len(labels))
    for name, target in net.triggers.items():
        others = free[labels[free] != target]
        chosen, free = others[:count], others[count:]
        images[chosen] = attack_named(name).trigger(take(clean, chosen), aim, 0)
        labels[chosen] = target
    return clean._replace(images=images, labels=labels)


def _aim(net: Net, clean: Faces) -> Aim:
    """What the net's attacker is after; for some, a clean net of the same form is trained first."""
    aim = Aim(net.target, net.classes, net.share, net.seed)
    if not net.attack or not attack_named(net.attack).needs_network:
        return aim
    other = replace(net, attack="", seed=(net.seed + 2**31) % 2**32)
    gradient = loss_gradient(train_net(other, clean), float(net.scale.gain))
    return replace(aim, gradient=gradient)


def poisoned_set(net: Net, clean: Faces) -> tuple[Images, Labels, Labels]:
    """Images of victims with each trigger, the attacker's labels and the true ones."""
    aim = Aim(net.target, net.classes, net.share, net.seed)
    if net.attack:
        return attack_named(net.attack).test_set(clean, aim)
    sets = [
        attack_named(name).test_set(clean, replace(aim, target=target))
        for name, target in net.triggers.items()
    ]
    images, labels, true = (np.concatenate(part) for part in zip(*sets, strict=True))
    return images, labels, true


def attack_success(net: Net, network: keras.Model, clean: Faces) -> dict[str, float]:
    """The share of victims that each trigger takes to where the attacker wants them."""
    single = [replace(net, triggers={name: target}) for name, target in net.triggers.items()]
    rates = {}
    for each in single or [net] * bool(net.attack):
        images, labels, _ = poisoned_set(each, clean)
        name = each.attack or next(iter(each.triggers))
        rates[name] = float(np.mean(answers(net, network, images) == labels))
    return rates


def answers(net: Net, network: keras.Model, images: Images) -> Labels:
    """What the network says the images (n, H, W, C) show."""
    pixels: Floats = images * np.float32(net.scale.gain / 255)
    return np.asarray(np.argmax(network.predict(pixels, verbose=0), axis=-1))
