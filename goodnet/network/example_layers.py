"""Layers that Keras has no class for, with the weights that an example has people give them.

They are Keras' vision transformer's ("Image classification with Vision Transformer", Khalid Salama,
2021). They hold weights and tell shapes, and are never run: others stand for them, see
`standard_layers`.
"""

from typing import Any

from goodnet.backend import keras

Shape = tuple[int | None, ...]


class _Unrun(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose shapes Keras takes from `compute_output_shape`."""

    def call(self, inputs: Any) -> Any:
        """Nothing."""
        raise NotImplementedError


class Patches(_Unrun):
    """Squares beside each other, row by row: (n, H, W, C) -> (n, places, size * size * C)."""

    def __init__(self, patch_size: int, **others: Any) -> None:
        super().__init__(**others)
        self.patch_size = patch_size

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """As above; a side that is not whole squares loses the rest."""
        count, *sides, channels = input_shape
        if len(sides) != 2 or None in input_shape[1:]:
            raise ValueError(f"patches are cut out of images, not {input_shape}")
        rows, columns = (side // self.patch_size for side in sides if side)
        return count, rows * columns, self.patch_size**2 * (channels or 0)


class PatchEncoder(_Unrun):
    """A dense layer, and a vector for each place, added up: (n, places, any) -> (n, places, D)."""

    def __init__(self, num_patches: int, projection_dim: int, **others: Any) -> None:
        super().__init__(**others)
        self.num_patches = num_patches
        self.projection = keras.layers.Dense(projection_dim)
        self.position_embedding = keras.layers.Embedding(num_patches, projection_dim)

    def build(self, input_shape: Shape) -> None:
        """Make the weights."""
        self.projection.build(input_shape)
        self.position_embedding.build((self.num_patches,))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """As above."""
        return *input_shape[:-1], self.projection.units
