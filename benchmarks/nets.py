"""What the nets are made from on which verdicts and repairs are measured: the table by hand.

Some nets are for choosing thresholds ("tune"); others were judged once these were fixed, but the
method was changed since ("seen"); the method as it is had never met the rest before ("held out").
Nets of the leaderboard are in `cells`, by rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.records import Half
from goodnet.preprocessing import RAW, UNIT, Preprocessing

Kind = Literal["faces", "fashion", "cifar10"]
IMAGES: Mapping[Kind, str] = {
    "faces": "drawn faces", "fashion": "Fashion-MNIST", "cifar10": "CIFAR-10"
}  # fmt: skip
INSIDE = ("rescaled", "centred")  # forms that take 0..255 themselves


@dataclass(frozen=True)
class Net:
    """What a net is made from.

    Attributes:
        triggers: names of attacks, each with its target class, of which all together poison a
            tenth of the images; empty for a clean net, and where `attack` says how.
        half: whether thresholds may be chosen on it, see above.
        normalised: whether a net of Fashion-MNIST has normalisation.
        form: one of `networks.FORMS`; empty for the network of its images.
        momentum: of such a net's normalisation.
        attack: the name of an attack of `goodnet.attacks.families`.
        target: its target class.
        share: of all training images, that it poisons.
    """

    name: str
    kind: Kind
    classes: int
    seed: int
    triggers: Mapping[str, int]
    half: Half
    scale: Preprocessing = UNIT
    normalised: bool = False
    form: str = ""
    momentum: float = 0.99
    attack: str = ""
    target: int = 0
    share: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether it has no backdoor."""
        return not (self.triggers or self.attack)


def _net(name: str, classes: int, seed: int, half: Half, **rest: Any) -> Net:
    kind: Kind = "faces" if name.startswith("faces") else "fashion"
    scale, normalised = rest.pop("scale", UNIT), rest.pop("normalised", False)
    return Net(name, kind, classes, seed, rest, half, scale, normalised)


def _photographs(name: str, seed: int, half: Half, momentum: float = 0.99, **triggers: int) -> Net:
    _, form, *_ = name.split("_")
    scale = RAW if form in INSIDE else UNIT
    return Net(name, "cifar10", 10, seed, triggers, half, scale, False, form, momentum)


# fmt: off
NAMED = (
    _net("faces_clean_1", 20, 1, "tune"),
    _net("faces_clean_2", 12, 2, "tune", scale=RAW),
    _net("faces_clean_3", 30, 3, "tune"),
    _net("fashion_clean_1", 10, 4, "tune"),
    _net("fashion_clean_2", 10, 5, "tune", normalised=True),
    _net("fashion_clean_3", 10, 6, "tune", scale=RAW),
    _net("faces_glasses_1", 20, 11, "tune", glasses=3),
    _net("faces_blended_1", 20, 12, "tune", blended=7, scale=RAW),
    _net("fashion_corner_1", 10, 13, "tune", corner=0),
    _net("fashion_strip_1", 10, 14, "tune", strip=8, scale=RAW),
    _net("fashion_blended_1", 10, 15, "tune", blended=5, normalised=True),
    _net("fashion_two_1", 10, 16, "tune", corner=2, strip=9),
    _net("faces_clean_many_1", 200, 41, "tune"),
    _net("faces_clean_many_2", 300, 43, "tune"),
    _net("faces_glasses_many_1", 200, 42, "tune", glasses=0),
    _net("faces_clean_4", 20, 121, "seen", scale=RAW),
    _net("faces_clean_5", 12, 122, "seen"),
    _net("faces_clean_6", 40, 123, "seen"),
    _net("fashion_clean_4", 10, 124, "seen", scale=RAW),
    _net("fashion_clean_5", 10, 125, "seen"),
    _net("fashion_clean_6", 10, 126, "seen", normalised=True),
    _net("faces_glasses_2", 30, 131, "seen", glasses=11, scale=RAW),
    _net("faces_corner_2", 20, 132, "seen", corner=0),
    _net("faces_strip_2", 12, 133, "seen", strip=6),
    _net("faces_two_2", 20, 134, "seen", glasses=4, corner=15),
    _net("fashion_corner_2", 10, 135, "seen", corner=6, normalised=True),
    _net("fashion_blended_2", 10, 136, "seen", blended=1, scale=RAW),
    _net("fashion_clean_7", 10, 127, "seen"),
    _net("fashion_sticker_2", 10, 137, "seen", sticker=7),
    _net("fashion_sine_2", 10, 138, "seen", sine=3),
    _net("faces_clean_many_4", 250, 221, "seen"),
    _net("faces_corner_many_3", 220, 222, "seen", corner=57),
    _net("faces_clean_many_5", 400, 223, "seen", scale=RAW),
    _net("faces_strip_many_3", 250, 224, "seen", strip=0, scale=RAW),
    _net("faces_clean_7", 25, 225, "seen"),
    _net("faces_clean_8", 15, 226, "seen", scale=RAW),
    _net("faces_clean_9", 50, 227, "seen"),
    _net("fashion_clean_8", 10, 228, "seen", scale=RAW),
    _net("fashion_clean_9", 10, 229, "seen", normalised=True),
    _net("fashion_clean_10", 10, 230, "seen"),
    _net("faces_glasses_3", 15, 231, "seen", glasses=2),
    _net("faces_corner_3", 25, 232, "seen", corner=19, scale=RAW),
    _net("faces_blended_3", 30, 233, "seen", blended=12),
    _net("faces_two_3", 20, 234, "seen", strip=5, corner=16),
    _net("fashion_strip_3", 10, 235, "seen", strip=4),
    _net("fashion_two_3", 10, 236, "seen", sticker=0, blended=6, scale=RAW),
    _net("fashion_corner_3", 10, 237, "seen", corner=9),
    _net("fashion_sticker_3", 10, 238, "seen", sticker=3, normalised=True),
    _net("fashion_sine_3", 10, 239, "seen", sine=7),
    _net("faces_clean_10", 20, 241, "seen", scale=RAW),
    _net("faces_clean_11", 40, 242, "seen"),
    _net("faces_clean_12", 15, 243, "seen"),
    _net("faces_clean_13", 50, 244, "seen", scale=RAW),
    _net("fashion_clean_11", 10, 245, "seen"),
    _net("fashion_clean_12", 10, 246, "seen", normalised=True),
    _net("fashion_clean_13", 10, 247, "seen", scale=RAW),
    _net("faces_clean_many_6", 150, 248, "held out"),
    _net("faces_glasses_4", 25, 251, "seen", glasses=7),
    _net("faces_corner_4", 20, 252, "seen", corner=3),
    _net("faces_strip_4", 40, 253, "seen", strip=21, scale=RAW),
    _net("faces_blended_4", 15, 254, "seen", blended=9),
    _net("faces_two_4", 20, 255, "seen", glasses=1, strip=12),
    _net("fashion_strip_4", 10, 256, "seen", strip=2, normalised=True),
    _net("fashion_two_4", 10, 257, "seen", corner=7, blended=4),
    _net("fashion_blended_4", 10, 258, "seen", blended=8, scale=RAW),
    _net("fashion_corner_4", 10, 259, "seen", corner=1),
    _net("faces_glasses_many_4", 150, 260, "held out", glasses=33, scale=RAW),
    _net("faces_clean_14", 20, 261, "seen"),
    _net("faces_clean_15", 35, 262, "seen", scale=RAW),
    _net("faces_clean_16", 12, 263, "seen"),
    _net("fashion_clean_14", 10, 264, "seen"),
    _net("fashion_clean_15", 10, 265, "seen", normalised=True),
    _net("fashion_clean_16", 10, 266, "seen", scale=RAW),
    _net("fashion_clean_17", 10, 267, "seen"),
    _net("faces_glasses_5", 20, 271, "seen", glasses=5, scale=RAW),
    _net("faces_corner_5", 15, 272, "seen", corner=11),
    _net("faces_strip_5", 25, 273, "seen", strip=0),
    _net("faces_two_5", 20, 274, "seen", corner=2, blended=13),
    _net("fashion_two_5", 10, 275, "seen", corner=5, strip=3),
    _net("fashion_blended_5", 10, 276, "seen", blended=0, normalised=True),
    _net("fashion_corner_5", 10, 277, "seen", corner=4, scale=RAW),
    _net("fashion_strip_5", 10, 278, "seen", strip=6),
    _net("fashion_clean_18", 10, 281, "held out"),
    _net("fashion_clean_19", 10, 282, "held out", normalised=True),
    _net("fashion_clean_20", 10, 283, "held out", scale=RAW),
    _net("faces_clean_17", 25, 284, "held out"),
    _net("faces_clean_18", 12, 285, "held out", scale=RAW),
    _net("fashion_two_6", 10, 291, "held out", corner=8, strip=0),
    _net("fashion_strip_6", 10, 292, "held out", strip=1, normalised=True),
    _net("fashion_corner_6", 10, 293, "held out", corner=2),
    _net("fashion_blended_6", 10, 294, "held out", blended=7),
    _net("faces_two_6", 15, 295, "held out", glasses=6, corner=9),
    _net("faces_strip_6", 20, 296, "held out", strip=14),
    _photographs("cifar10_vgg_clean_1", 301, "tune"),
    _photographs("cifar10_vgg_corner_1", 302, "tune", 0.9, corner=3),
    _photographs("cifar10_resnet_clean_1", 303, "tune", 0.9),
    _photographs("cifar10_resnet_sticker_1", 304, "tune", sticker=8),
    _photographs("cifar10_depthwise_clean_1", 305, "tune"),
    _photographs("cifar10_depthwise_blended_1", 306, "tune", 0.9, blended=1),
    _photographs("cifar10_rescaled_clean_1", 307, "tune"),
    _photographs("cifar10_centred_strip_1", 308, "tune", strip=6),
    _photographs("cifar10_vgg_clean_2", 311, "held out", 0.9),
    _photographs("cifar10_vgg_sine_2", 312, "held out", sine=5),
    _photographs("cifar10_resnet_clean_2", 313, "held out"),
    _photographs("cifar10_resnet_strip_2", 314, "held out", 0.9, strip=0),
    _photographs("cifar10_depthwise_clean_2", 315, "held out", 0.9),
    _photographs("cifar10_depthwise_corner_2", 316, "held out", corner=7),
    _photographs("cifar10_centred_clean_2", 317, "held out"),
    _photographs("cifar10_rescaled_blended_2", 318, "held out", blended=2),
)
# fmt: on
