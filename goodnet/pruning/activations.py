"""One look at each image: what the head made of a data set, kept while there is room.

Finding the pixel scale, measuring activations and sweeping clean images all start from the same
output of the head. What does not fit the budget is computed again when it is asked for.
"""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from goodnet.backend import in_workers, tf
from goodnet.datasets.dataset import BLOCK, Dataset
from goodnet.network.execution import Tensors
from goodnet.scale import Scale

if TYPE_CHECKING:
    from goodnet.pruning.split import Split

KEPT_BYTES = 512 << 20  # activations kept for one split, in all
BLOCK_BYTES = 64 << 20  # activations of one block, with what a sweep makes of them
HEAD_BYTES = 10 << 20  # images given to the head at once

Output = TypeVar("Output")


class ActivationBlock(NamedTuple):
    """A block of images seen once.

    Attributes:
        rows: the block's rows in the data set.
        activations: from `Split.activations`.
        suspect: the suspect's class of each image, (n,).
    """

    rows: slice
    activations: Tensors
    suspect: NDArray[np.int32]


class ActivationCache:
    """Looks at data sets with one split network.

    Args:
        split: the suspect, split at the layer.
        budget: bytes of activations to keep.
    """

    def __init__(self, split: "Split", budget: int = KEPT_BYTES) -> None:
        self._split, self._free = split, budget
        self._kept: dict[tuple[int, Scale], tuple[Dataset, dict[int, ActivationBlock]]] = {}
        self._lock = Lock()

    def each(
        self,
        dataset: Dataset,
        scale: Scale,
        make: Callable[[ActivationBlock], Output],
        *,
        keep: bool = False,
    ) -> Iterator[Output]:
        """What is made of a look at each block of a data set, in order.

        Args:
            dataset: the images.
            scale: the network's pixel scale.
            make: called in worker threads.
            keep: whether the looks will be wanted again.
        """
        kept = self._kept.get((id(dataset), scale), (dataset, {}))[1]
        shape = dataset.images(slice(0, 1), scale).shape[1:]
        size = int(np.clip(BLOCK_BYTES // self._split.bytes_per_image(shape), 16, BLOCK))

        def looked(rows: slice) -> Output:
            look = kept.get(rows.start)
            if look is None:
                look = self._look(dataset, rows, scale)
                if keep:
                    self._keep(dataset, scale, look)
            return make(look)

        return in_workers(looked, dataset.rows(size))

    def forget(self, dataset: Dataset, scale: Scale) -> None:
        """Make room: these looks are not wanted again."""
        with self._lock:
            _, looks = self._kept.pop((id(dataset), scale), (dataset, {}))
            self._free += sum(map(_bytes, looks.values()))

    def _keep(self, dataset: Dataset, scale: Scale, look: ActivationBlock) -> None:
        with self._lock:
            if _bytes(look) <= self._free:
                self._free -= _bytes(look)
                looks = self._kept.setdefault((id(dataset), scale), (dataset, {}))[1]
                looks[look.rows.start] = look

    def _look(self, dataset: Dataset, rows: slice, scale: Scale) -> ActivationBlock:
        image = dataset.images(slice(0, 1), scale)
        size = int(np.clip(HEAD_BYTES // image.nbytes, 1, BLOCK))
        heads, answers = [], []
        for start in range(rows.start, rows.stop, size):
            images = dataset.images(slice(start, min(start + size, rows.stop)), scale)
            heads.append(self._split.activations(images))
            answers.append(self._split.answers(heads[-1]))
        if len(heads) == 1:
            return ActivationBlock(rows, heads[0], answers[0])
        together = [tf.concat(tensors, axis=0) for tensors in zip(*heads, strict=True)]
        return ActivationBlock(rows, together, np.concatenate(answers))


def _bytes(look: ActivationBlock) -> int:
    return sum(int(np.prod(tensor.shape)) * 4 for tensor in look.activations)
