"""The leaderboard's nets, by rule: images x network x attack x ratio x number.

A net is called `IMAGES_NETWORK_ATTACK_RATIO_NUMBER`, for example `cifar10_vgg_wanet_strong_10_1`,
the ratio in per cent of the training images (0.5 is "05"); a clean one
`IMAGES_NETWORK_clean_NUMBER`, from `clean_101` on, as those by hand have lower numbers. All else
follows from the name. The seed is a checksum of it, made even or odd as the number is, and **nets
of an odd seed are for choosing thresholds ("tune"), those of an even one are looked at once ("held
out")**.

Every such net can be made. CELLS are those of the leaderboard, a balanced part: each attack on each
network it can be made on, twice, with ratios in turn, once in either half; and as many clean nets.
They are in an order in which every beginning is mixed.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from benchmarks.nets import INSIDE, Kind, Net
from goodnet.attacks.families import ATTACKS
from goodnet.preprocessing import RAW, UNIT

RATIOS: Final = {"05": 0.005, "1": 0.01, "5": 0.05, "10": 0.1}
SETTINGS: Final[tuple[tuple[Kind, str], ...]] = (
    ("faces", "deepid"), ("faces", "vgg"), ("faces", "resnet"),
    ("fashion", "cnn"), ("fashion", "depthwise"), ("fashion", "resnet"), ("fashion", "vit"),
    ("cifar10", "vgg"), ("cifar10", "resnet"), ("cifar10", "depthwise"), ("cifar10", "rescaled"),
    ("cifar10", "vit"),
)  # fmt: skip
PEOPLE: Final = (12, 20, 30)
CLEAN: Final = "clean"
FIRST_CLEAN: Final = 101  # number
NOT_LEARNT: Final = ("wanet",)  # by networks of this size
WITHOUT_RELU: Final = ("resnet", "vit")  # behind the last convolution: not pruning-aware


def checksum(name: str) -> int:
    """A number of 32 bits that follows from a name; an attack that is added changes no other's."""
    return zlib.crc32(name.encode())


def can_be_made(kind: Kind, form: str, attack: str) -> bool:
    """Whether there are nets of this attack on these images and this network."""
    if attack == "glasses":
        return kind == "faces"
    if attack == "gotham":
        return kind != "fashion"  # of grey images it changes too little to be learnt
    if attack == "pruning_aware":
        return form not in WITHOUT_RELU
    return True


def cell(name: str) -> Net:
    """The net of that name.

    Raises:
        KeyError: there is none.
    """
    try:
        kind, form, *middle, number = name.split("_")
        setting = next((k, f) for k, f in SETTINGS if (k, f) == (kind, form))
        attack, ratio = "_".join(middle[:-1]), middle[-1]
        known = {each.name for each in ATTACKS}
        if middle != [CLEAN] and not (attack in known and can_be_made(*setting, attack)):
            raise KeyError(name)
        share = RATIOS[ratio] if middle != [CLEAN] else 0.0
        return _net(name, setting, "" if middle == [CLEAN] else attack, share, int(number))
    except (IndexError, KeyError, StopIteration, ValueError):
        raise KeyError(f"no net is called {name}") from None


def _net(name: str, setting: tuple[Kind, str], attack: str, share: float, number: int) -> Net:
    kind, form = setting
    drawn = checksum(name)
    seed = drawn // 2 * 2 + number % 2
    classes = PEOPLE[drawn // 32 % len(PEOPLE)] if kind == "faces" else 10
    return Net(
        name=name,
        kind=kind,
        classes=classes,
        seed=seed,
        triggers={},
        half="tune" if seed % 2 else "held out",
        scale=RAW if form in INSIDE or drawn // 2 % 3 == 0 else UNIT,
        normalised=form == "cnn" and bool(drawn // 8 % 2),
        form="" if form in ("deepid", "cnn") else form,
        momentum=0.9 if drawn // 16 % 2 else 0.99,
        attack=attack,
        target=drawn // 128 % classes if attack else 0,
        share=share,
    )


def _names() -> Iterator[str]:
    """The leaderboard's names, attacked and clean in turn."""
    attacks = [attack.name for attack in ATTACKS if attack.name not in NOT_LEARNT]
    ratios = list(RATIOS)
    attacked = [
        f"{kind}_{form}_{attack}_{ratios[(place + checksum(attack) + 2 * number) % 4]}_{number}"
        for place, (kind, form) in enumerate(SETTINGS)
        for attack in attacks
        if can_be_made(kind, form, attack)
        for number in (1, 2)
    ]
    attacked.sort(key=checksum)
    numbers = dict.fromkeys(SETTINGS, FIRST_CLEAN)
    for place, name in enumerate(attacked):
        yield name
        setting = SETTINGS[place % len(SETTINGS)]
        yield f"{'_'.join(setting)}_{CLEAN}_{numbers[setting]}"
        numbers[setting] += 1


CELLS: Final = tuple(cell(name) for name in _names())
