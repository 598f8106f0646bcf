"""Clean images as methods take them: 0..1, in memory, with their labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.datasets.dataset import CleanDataset, require_clean
from goodnet.preprocessing import UNIT

Pixels = NDArray[np.float32]
Labels = NDArray[np.int64]


MOST = 128_000_000  # bytes of images, 4,000 faces: more of them find nothing more


@dataclass(frozen=True)
class CleanImages:
    """Clean validation images and their labels, all that the detection may see.

    Attributes:
        pixels: float32 (N, H, W, C), 0..1.
        labels: int64 (N,).
    """

    pixels: Pixels
    labels: Labels

    @classmethod
    def of(cls, dataset: CleanDataset, most: int = MOST) -> "CleanImages":
        """The images of a clean validation set: up to `most` bytes, evenly spread over it.

        Raises:
            TypeError: the data set was opened in another role.
        """
        require_clean(dataset)
        image = dataset.images(slice(0, 1), UNIT)
        rows = dataset.spread(max(1, most // image.nbytes))
        return cls(dataset.images(rows, UNIT), dataset.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[Any]) -> "CleanImages":
        """The images of these rows."""
        return CleanImages(self.pixels[rows], self.labels[rows])

    def draw(self, most: int, rng: np.random.Generator) -> "CleanImages":
        """Up to `most` images at random, of as many classes as there are, none twice."""
        order = rng.permutation(len(self))
        last_rank: dict[int, int] = {}
        rank = np.empty(len(self), dtype=np.int64)
        for row in order:
            label = int(self.labels[row])
            rank[row] = last_rank[label] = last_rank.get(label, -1) + 1
        return self.take(order[np.argsort(rank[order], kind="stable")][:most])

    def divided(self, first: int) -> tuple["CleanImages", "CleanImages"]:
        """The first images, up to half of them, and the rest; one image is both."""
        count = min(first, max(1, len(self) // 2))
        part, rest = np.arange(count), np.arange(count, len(self))
        return self.take(part), self.take(rest if len(rest) else part)
