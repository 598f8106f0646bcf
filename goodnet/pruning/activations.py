"""One pass over each image: what the head made of a data set, stored while there is room.

Finding the preprocessing, measuring activations and sweeping clean images all start from the same
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
from goodnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    from goodnet.pruning.split import Split

CACHE_BYTES = 512 << 20  # activations stored for one split, in all
BLOCK_BYTES = 64 << 20  # activations of one block, with what a sweep makes of them
HEAD_BYTES = 10 << 20  # images given to the head at once
HEAD_VALUES = 12_000_000  # of its largest tensor, of these images

Output = TypeVar("Output")


class ActivationBlock(NamedTuple):
    """The activations of a block of images.

    Attributes:
        rows: the block's rows in the data set.
        activations: from `Split.activations`.
        suspect_answers: the suspect's class of each image, (n,).
    """

    rows: slice
    activations: Tensors
    suspect_answers: NDArray[np.int32]

    @property
    def bytes(self) -> int:
        """What its activations take."""
        return sum(int(np.prod(tensor.shape)) * 4 for tensor in self.activations)


class _CachedSet(NamedTuple):
    """The stored blocks of one data set at one preprocessing, by their first row."""

    dataset: Dataset
    preprocessing: Preprocessing
    blocks: dict[int, ActivationBlock]


class ActivationCache:
    """The activations of data sets in one split network.

    Args:
        split: the suspect, split at the layer.
        budget: bytes of activations to store.
    """

    def __init__(self, split: "Split", budget: int = CACHE_BYTES) -> None:
        self._split, self._free = split, budget
        self._sets: list[_CachedSet] = []
        self._lock = Lock()

    def map_blocks(
        self,
        function: Callable[[ActivationBlock], Output],
        dataset: Dataset,
        preprocessing: Preprocessing,
        *,
        store: bool = False,
    ) -> Iterator[Output]:
        """What a function makes of each block of a data set, in order.

        Args:
            function: called in worker threads.
            dataset: the images.
            preprocessing: the network's.
            store: whether the activations will be needed again.
        """
        blocks = self._stored(dataset, preprocessing, begin=store)
        shape = dataset.images(slice(0, 1), preprocessing).shape[1:]
        size = int(np.clip(BLOCK_BYTES // self._split.bytes_per_image(shape), 16, BLOCK))

        def one_block(rows: slice) -> Output:
            block = blocks.get(rows.start)
            if block is None:
                block = self._compute(dataset, rows, preprocessing)
                if store:
                    self._store(blocks, block)
            return function(block)

        return in_workers(one_block, dataset.rows(size))

    def forget(self, dataset: Dataset, preprocessing: Preprocessing) -> None:
        """Make room: these activations will not be needed again."""
        blocks = self._stored(dataset, preprocessing)
        with self._lock:
            self._free += sum(block.bytes for block in blocks.values())
            self._sets = [one for one in self._sets if one.blocks is not blocks]

    def _stored(
        self, dataset: Dataset, preprocessing: Preprocessing, *, begin: bool = False
    ) -> dict[int, ActivationBlock]:
        """The blocks of this very data set, by their first row; `begin` to store them."""
        with self._lock:
            for one in self._sets:
                if one.dataset is dataset and one.preprocessing == preprocessing:
                    return one.blocks
            blocks: dict[int, ActivationBlock] = {}
            if begin:
                self._sets.append(_CachedSet(dataset, preprocessing, blocks))
            return blocks

    def _store(self, blocks: dict[int, ActivationBlock], block: ActivationBlock) -> None:
        with self._lock:
            if block.bytes <= self._free:
                self._free -= block.bytes
                blocks[block.rows.start] = block

    def _compute(
        self, dataset: Dataset, rows: slice, preprocessing: Preprocessing
    ) -> ActivationBlock:
        image = dataset.images(slice(0, 1), preprocessing)
        most = min(HEAD_BYTES // image.nbytes, HEAD_VALUES // self._split.largest(image.shape[1:]))
        size = int(np.clip(most, 1, BLOCK))
        heads, answers = [], []
        for start in range(rows.start, rows.stop, size):
            images = dataset.images(slice(start, min(start + size, rows.stop)), preprocessing)
            heads.append(self._split.activations(images))
            answers.append(self._split.answers(heads[-1]))
        if len(heads) == 1:
            return ActivationBlock(rows, heads[0], answers[0])
        together = [tf.concat(tensors, axis=0) for tensors in zip(*heads, strict=True)]
        return ActivationBlock(rows, together, np.concatenate(answers))
