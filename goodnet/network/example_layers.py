"""Layers that Keras has no class for, as the example that has people write them writes them.

They are Keras' vision transformer's ("Image classification with Vision Transformer", Khalid Salama,
2021). A network of ours has none of them: with these a file's weights are read, see
`standard_layers`.
"""

from typing import Any

from goodnet.backend import keras


class Patches(keras.layers.Layer):  # type: ignore[misc]
    """Squares beside each other, row by row: (n, H, W, C) -> (n, places, size * size * C)."""

    def __init__(self, patch_size: int, **others: Any) -> None:
        super().__init__(**others)
        self.patch_size = patch_size

    def call(self, images: Any) -> Any:
        """The pixels of each square, in a row."""
        patches = keras.ops.image.extract_patches(images, self.patch_size)
        _, height, width, features = patches.shape
        return keras.ops.reshape(patches, (-1, height * width, features))


class PatchEncoder(keras.layers.Layer):  # type: ignore[misc]
    """A dense layer, and a vector for each place, added up."""

    def __init__(self, num_patches: int, projection_dim: int, **others: Any) -> None:
        super().__init__(**others)
        self.num_patches = num_patches
        self.projection = keras.layers.Dense(projection_dim)
        self.position_embedding = keras.layers.Embedding(num_patches, projection_dim)

    def build(self, shape: Any) -> None:
        """Make the weights."""
        self.projection.build(shape)
        self.position_embedding.build((self.num_patches,))

    def call(self, patches: Any) -> Any:
        """Both, (n, places, projection_dim)."""
        places = keras.ops.arange(self.num_patches)
        return self.projection(patches) + self.position_embedding(places)
