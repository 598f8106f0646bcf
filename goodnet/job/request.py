"""What a repair is asked for, checked before anything is started."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from goodnet.errors import RequestRefused
from goodnet.files import storage
from goodnet.files.models import architecture_beside
from goodnet.files.storage import StoredFile
from goodnet.mitigation.methods import METHODS
from goodnet.preprocessing import parse_preprocessing
from goodnet.pruning.curve import parse_points
from goodnet.pruning.order import DIRECTIONS, Direction

MOST_MINUTES = 7 * 24 * 60
ORDERS = (*DIRECTIONS, "both")
VERDICTS = ("on", "off")
METHOD_CHOICES: tuple[str, ...] = ("auto", "pruning", *(method.name for method in METHODS))


if TYPE_CHECKING:
    MethodChoice = str  # a type checker does not compute
else:
    MethodChoice = Literal[METHOD_CHOICES]


@dataclass(frozen=True)
class Request:
    """The parameters of a repair.

    Attributes:
        directions: the orders to prune in.
        points: the drops to take repaired models at, in points.
        layer: the layer to prune, or "auto".
        preprocessing: what is done to pixels before the network sees them, or "auto".
        architecture: "auto", "deepid" or a file, for suspects that are weights only.
        method: what is done beside pruning, or "auto": what the verdict calls for.
        budget: how much clean test accuracy a model that is recommended may lose, in points.
        minutes: that the verdict may take, about, on two cores; 0 where it is left out.
        class_names: what the classes are called, by number; empty to take what the images say.
    """

    directions: tuple[Direction, ...]
    points: tuple[str, ...]
    layer: str
    preprocessing: str
    architecture: StoredFile | str
    method: str
    budget: float
    minutes: float
    class_names: tuple[str, ...] = ()


def with_architecture_beside(request: Request, uri: str) -> Request:
    """The request for one model: with the Keras JSON beside it where nothing else was asked for.

    Raises:
        InputRefused, OSError: it cannot be read.
    """
    beside = architecture_beside(uri) if request.architecture == "auto" else None
    return replace(request, architecture=identify_architecture(beside)) if beside else request


def check_minutes(minutes: float) -> None:
    """Refuse a time for the verdict in which nothing can be done, or that is no limit."""
    if not 0 < minutes <= MOST_MINUTES:
        raise RequestRefused("--minutes", f"{minutes!r} is not more than 0 and up to a week")


def parse_request(
    *,
    order: str,
    drop: Sequence[float | str],
    layer: str,
    preprocessing: str,
    architecture: str,
    method: str,
    budget: float,
    minutes: float,
    verdict: str = "on",
    class_names: Sequence[str] = (),
) -> Request:
    """The checked parameters.

    Raises:
        RequestRefused: one of them makes no sense.
    """
    if order not in ORDERS:
        raise RequestRefused("--order", f"{order!r} is not one of {', '.join(ORDERS)}")
    parse_preprocessing(preprocessing)
    if method not in METHOD_CHOICES:
        raise RequestRefused("--method", f"{method!r} is not one of {', '.join(METHOD_CHOICES)}")
    if not 0 <= budget <= 100:
        raise RequestRefused("--budget", f"{budget!r} is not 0 to 100 points")
    check_minutes(minutes)
    if verdict not in VERDICTS:
        raise RequestRefused("--verdict", f"{verdict!r} is not one of {', '.join(VERDICTS)}")
    directions = DIRECTIONS if order == "both" else tuple(d for d in DIRECTIONS if d == order)
    plan = identify_architecture(architecture)
    limits = float(budget), float(minutes) if verdict == "on" else 0.0
    points, names = parse_points(drop), tuple(class_names)
    return Request(directions, points, layer, preprocessing, plan, method, *limits, names)


def identify_architecture(name: str) -> StoredFile | str:
    """ "auto", "deepid", or the architecture file with its digest.

    Raises:
        RequestRefused: there is no such file.
    """
    return name if name in ("auto", "deepid") else storage.identify(name, RequestRefused)
