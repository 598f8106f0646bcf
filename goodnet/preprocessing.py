"""What is done to pixels before a network sees them: a value that travels with the network.

A network fed otherwise than it was trained answers nonsense without an error.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import RequestRefused
from goodnet.metrics import PairedLoss, Proportion

ChannelOrder = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class Preprocessing:
    """A straight line for each channel, from pixels 0..1 to a network's input.

    Attributes:
        name: what it is called.
        multiply: the factor of each channel of the input; one number is for all.
        add: what is added then, likewise.
        order: "bgr" turns the channels round before that.
    """

    name: str
    multiply: tuple[float, ...]
    add: tuple[float, ...] = (0.0,)
    order: ChannelOrder = "rgb"

    @property
    def words(self) -> str:
        """What it makes of pixels, in words, for example "raw: 0 to 255"."""
        order = ", channels turned round" if self.order == "bgr" else ""
        if self.channels == 1:
            (factor,), (shift,) = self.multiply, self.add
            return f"{self.name}: {shift:g} to {shift + factor:g}{order}"
        both = self.multiply, self.add
        factors, shifts = (", ".join(f"{number:.4g}" for number in each) for each in both)
        return f"{self.name}: 0 to 1{order}, times {factors}, plus {shifts}"

    @property
    def gain(self) -> float:
        """How many times larger than 0..1 the range of the input is: 255 for raw pixels."""
        return max(self.multiply)

    @property
    def channels(self) -> int:
        """For how many channels it is; 1 where it is for any number."""
        return max(len(self.multiply), len(self.add))

    def apply(self, images: Any) -> Any:
        """The network's input for images 0..1, arrays or tensors (..., C); differentiable."""
        images = images if self.order == "rgb" else images[..., ::-1]
        scaled = images * _operand(self.multiply)
        return scaled + _operand(self.add) if any(self.add) else scaled

    def apply_to_pixels(self, pixels: NDArray[np.float32], white: float) -> NDArray[np.float32]:
        """The same for pixels 0..white, float32 (..., C), without a detour by 0..1."""
        pixels = pixels if self.order == "rgb" else np.ascontiguousarray(pixels[..., ::-1])
        if self.multiply == (1.0,) != (white,):
            pixels = pixels / np.float32(white)
        elif self.multiply != (white,):
            pixels = pixels * np.divide(self.multiply, white).astype(np.float32)
        return pixels + np.array(self.add, np.float32) if any(self.add) else pixels


def _operand(numbers: tuple[float, ...]) -> Any:
    return numbers[0] if len(numbers) == 1 else np.array(numbers, np.float32)


RAW: Final = Preprocessing("raw", (255.0,))
UNIT: Final = Preprocessing("unit", (1.0,))
SIGNED: Final = Preprocessing("signed", (2.0,), (-1.0,))
CENTRED: Final = Preprocessing("centred", (1.0,), (-0.5,))
CAFFE: Final = Preprocessing("caffe", (255.0,), (-103.939, -116.779, -123.68), "bgr")


def _standardising(
    name: str, means: Sequence[float], deviations: Sequence[float], order: ChannelOrder = "rgb"
) -> Preprocessing:
    """(x - mean) / deviation, both of pixels 0..1."""
    shifts = tuple(-m / s for m, s in zip(means, deviations, strict=True))
    return Preprocessing(name, tuple(1 / s for s in deviations), shifts, order)


TORCH: Final = _standardising("torch", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SCALES: Final = (RAW, UNIT)
BUILT_IN: Final = (*SCALES, SIGNED, CENTRED, CAFFE, TORCH)
STANDARDISED, BY_CHANNEL = "standardised", "standardised-by-channel"  # by the clean images' own
NAMES: Final = (*(each.name for each in BUILT_IN), STANDARDISED, BY_CHANNEL)
KEYS: Final = ("mean", "std", "white", "order")
LESS_LOSS: Final = 0.1  # nats; an owner's own was worse by 0.04 than one that is much the same
LESS_DISTANCE: Final = 0.01  # of the logarithm of 1 + the divergence
CERTAIN: Final = 4.07  # Student's, of 16 groups at 99.9 %, for up to 28 pairs are compared
AS_IN_TRAINING: Final = 0.02  # likewise
SMALLER: Final = 0.01  # of accuracy is no reason to leave raw and unit, if it may be chance


class PreprocessingInfo(NamedTuple):
    """The preprocessing of a network.

    Attributes:
        preprocessing: it.
        origin: whether it was asked for, or found by means of clean images.
        accuracies: the clean validation accuracy with every preprocessing that was tried, by name;
            of those that were hopeless, on the images of a first look.
        near_ties: those whose accuracy may differ by chance alone from that of the one taken, and
            which nothing else tells apart from it.
        settled: those whose accuracy may, too, but which clean images speak against otherwise.
    """

    preprocessing: Preprocessing
    origin: Literal["given", "found"]
    accuracies: Mapping[str, Proportion]
    near_ties: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()


class Evidence(NamedTuple):
    """What speaks for a preprocessing beside accuracy; the less, the better.

    Attributes:
        losses: the cross-entropy of each clean image, (N,).
        distances: how far groups of images are, at layers of batch normalisation, from what these
            saw in training, (groups,); empty where there are no such layers.
        distance: the same of all images together.
    """

    losses: NDArray[np.float64]
    distances: NDArray[np.float64]
    distance: float = 0.0


def candidates(means: NDArray[np.float64], squares: NDArray[np.float64]) -> list[Preprocessing]:
    """All that can be done to images of these channels, those preferred first.

    Args:
        means: of each channel of clean images 0..1, (C,).
        squares: the means of their squares, likewise.
    """
    channels = len(means)
    built_in = [each for each in BUILT_IN if each.channels in (1, channels)]
    whole = means.mean(keepdims=True), squares.mean(keepdims=True)
    both = {STANDARDISED: whole, BY_CHANNEL: (means, squares)}
    for name, (mean, square) in both.items():
        variance = square - mean**2
        if (variance > 0).all() and (name, channels) != (BY_CHANNEL, 1):
            built_in.append(_standardising(name, mean.tolist(), np.sqrt(variance).tolist()))
    return built_in


def parse_preprocessing(text: str) -> Preprocessing | None:
    """The preprocessing of a name, or of numbers like "mean=104,117,123,std=1,order=bgr".

    Numbers are one for each channel of the network's input, or one for all, and are of pixels
    0..255 where one of them is above 1 or "white=255" is there, else of pixels 0..1.

    Returns:
        It; None for "auto" and those that need clean images.

    Raises:
        RequestRefused: it makes no sense.
    """
    for each in BUILT_IN:
        if each.name == text:
            return each
    if text in ("auto", STANDARDISED, BY_CHANNEL):
        return None
    if "=" not in text:
        raise _refusal(text, f"is not one of auto, {', '.join(NAMES)} or mean=...,std=...")
    values: dict[str, list[str]] = {}
    for part in text.split(","):
        key, is_key, value = part.rpartition("=")
        if is_key and (key not in KEYS or key in values):
            raise _refusal(text, f"{key!r} is not one of {', '.join(KEYS)}, each once")
        if is_key:
            values[key] = []
        elif not values:
            raise _refusal(text, f"{part!r} belongs to nothing")
        values[list(values)[-1]].append(value)
    order = ",".join(values.pop("order", ["rgb"]))
    return _from_numbers(text, order, {key: _numbers(text, values[key]) for key in values})


def _from_numbers(text: str, order: str, numbers: Mapping[str, list[float]]) -> Preprocessing:
    means, deviations = numbers.get("mean", [0.0]), numbers.get("std", [1.0])
    largest = max(*map(abs, means), *deviations)
    (white, *more) = numbers.get("white", [255.0 if largest > 1 else 1.0])
    count = max(len(means), len(deviations))
    if order not in get_args(ChannelOrder):
        raise _refusal(text, f"order {order!r} is not rgb or bgr")
    if more or white not in (1, 255):
        raise _refusal(text, "white is neither 1 nor 255")
    if {len(means), len(deviations)} - {1, count}:
        raise _refusal(text, f"{len(means)} means do not go with {len(deviations)} deviations")
    if min(means) < 0 or max(means) > white:
        raise _refusal(text, f"a mean is not in 0..{white:g}")
    if min(deviations) <= 0 or max(deviations) > white:
        raise _refusal(text, f"a std is not above 0 and up to {white:g}")
    means, deviations = means * (count // len(means)), deviations * (count // len(deviations))
    means, deviations = [m / white for m in means], [s / white for s in deviations]
    return _standardising("given", means, deviations, cast(ChannelOrder, order))


def _numbers(text: str, values: Sequence[str]) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        raise _refusal(text, f"{', '.join(values)} are not numbers") from None
    if not np.isfinite(numbers).all():
        raise _refusal(text, "a number is not finite")
    return numbers


def _refusal(text: str, fault: str) -> RequestRefused:
    return RequestRefused("--preprocessing", f"{text!r}: {fault}")


def select_preprocessing(
    text: str, choices: Iterable[Preprocessing], channels: int
) -> Preprocessing:
    """The preprocessing that was asked for.

    Args:
        text: a name or numbers, but not "auto".
        choices: from `candidates`.
        channels: of the network's images.

    Raises:
        RequestRefused: it is none, or for images of other channels.
    """
    chosen = parse_preprocessing(text) or next((p for p in choices if p.name == text), None)
    if chosen is None or chosen.channels not in (1, channels):
        raise _refusal(text, f"does not go with images of {channels} channels")
    if chosen.order == "bgr" and channels != 3:
        raise _refusal(text, f"images of {channels} channels have no order bgr")
    return chosen


def choose_preprocessing(
    right: Mapping[Preprocessing, NDArray[np.bool_]], chance: float, source: object
) -> PreprocessingInfo:
    """The preprocessing with the highest clean validation accuracy; on a tie, the first one.

    But the better one of raw and unit is taken where another is not clearly more accurate, that is
    where the 95 % interval of the paired difference reaches 0, and by no more than SMALLER.

    Args:
        right: with each preprocessing, which of the same images are answered with their label.
        chance: what answering the most frequent label always would give, 0..1.
        source: the model, for the error message.

    Raises:
        RequestRefused: no accuracy is above chance, beyond its 95 % interval.
    """
    accuracies = {p.name: Proportion(int(hits.sum()), len(hits)) for p, hits in right.items()}
    best = max(right, key=lambda each: accuracies[each.name].value)
    if accuracies[best.name].low <= chance:
        shares = ", ".join(f"{name} {share}" for name, share in accuracies.items())
        raise RequestRefused(
            source,
            f"answers clean validation images no better than chance ({chance:.1%}) with any "
            f"preprocessing (tried: {shares}); model and data do not belong together, or the "
            "labels are wrong",
        )
    scales = [each for each in right if each in SCALES]
    usual = max(scales, key=lambda each: accuracies[each.name].value, default=best)
    loss = paired_loss(right[best], right[usual])
    chosen = usual if loss.low <= 0 and loss.value <= SMALLER else best
    near = tuple(p.name for p in right if p != chosen and is_near_tie(right[chosen], right[p]))
    return PreprocessingInfo(chosen, "found", accuracies, near)


def settle_near_ties(
    info: PreprocessingInfo,
    right: Mapping[Preprocessing, NDArray[np.bool_]],
    evidence: Mapping[Preprocessing, Evidence],
) -> PreprocessingInfo:
    """The choice among near-ties by further evidence; as it was where that does not tell.

    Another is taken only if the evidence is clearly for it and against the one taken so far; of
    several the most accurate.

    Args:
        info: from `choose_preprocessing`.
        right: as there.
        evidence: of the one taken and its near-ties.
    """
    first = info.preprocessing
    better = [each for each in evidence if is_clearly_better(evidence[each], evidence[first])]
    unbeaten = [
        each
        for each in better
        if not any(is_clearly_better(evidence[p], evidence[each]) for p in better)
    ]
    chosen = max(unbeaten, key=lambda p: int(right[p].sum()), default=first)
    tied = [p for p in right if p != chosen and is_near_tie(right[chosen], right[p])]
    beaten = {
        p.name for p in evidence if is_clearly_better(evidence[chosen], evidence[p]) and p in tied
    }
    names = [each.name for each in tied]
    return info._replace(
        preprocessing=chosen,
        near_ties=tuple(name for name in names if name not in beaten),
        settled=tuple(name for name in names if name in beaten),
    )


def is_clearly_better(one: Evidence, other: Evidence) -> bool:
    """Whether one of both kinds of evidence is clearly for one, and none clearly against it.

    Distances count where those of the nearer one are as small as in training: else the layers
    learnt from other images, or have not learnt long enough.
    """
    return _speaks_for(one, other) and not _speaks_for(other, one)


def _speaks_for(one: Evidence, other: Evidence) -> bool:
    if _is_clearly_less(one.losses, other.losses, LESS_LOSS):
        return True
    less = _is_clearly_less(one.distances, other.distances, LESS_DISTANCE)
    return less and one.distance <= AS_IN_TRAINING


def _is_clearly_less(one: NDArray[np.float64], other: NDArray[np.float64], least: float) -> bool:
    """Whether the mean is less by `least`, and more than chance makes it among many pairs."""
    if len(one) < 2:
        return False
    less = other - one
    mean, error = float(less.mean()), float(less.std(ddof=1)) / math.sqrt(len(less))
    return mean >= least and mean - CERTAIN * error > 0


def is_near_tie(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Whether two accuracies on the same images may differ by chance alone."""
    loss = paired_loss(one, other)
    return loss.low <= 0 <= loss.high


def paired_loss(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> PairedLoss:
    """What is lost from one set of right answers to another, of the same images."""
    return PairedLoss(int(before.sum()), int(after.sum()), int((before & after).sum()), len(before))
