"""Operations as Keras would have them, of which only the shapes are asked. They are never run."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from goodnet.backend import keras
from goodnet.network.standard_operations import layers_of

Make = Callable[..., Any]


def _item(x: Any, key: list[Any]) -> Any:
    items = [slice(*each) if isinstance(each, list) else each for each in key]
    return x[tuple(... if each == "..." else each for each in items)]


def _split(x: Any, *, part: int, **how: Any) -> Any:
    return keras.ops.split(x, **how)[part]


def _product(pair: list[Any], transpose_a: bool = False, transpose_b: bool = False) -> Any:
    turned = zip(pair, (transpose_a, transpose_b), strict=True)
    return keras.ops.matmul(*(keras.ops.swapaxes(x, -1, -2) if turn else x for x, turn in turned))


def _listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def _same(x: Any, **_: Any) -> Any:
    return x


_OTHERS: Mapping[str, Make] = {
    "GetItem": _item,
    "Split": _split,
    "Unstack": lambda x, axis, part: keras.ops.unstack(x, axis=axis)[part],
    "Stack": lambda x, axis: keras.ops.stack(x, axis=axis),
    "ExpandDims": keras.ops.expand_dims,
    "Squeeze": keras.ops.squeeze,
    "Pad": keras.ops.pad,
    "Take": keras.ops.take,
    "Flip": keras.ops.flip,
    "Roll": keras.ops.roll,
    "Repeat": keras.ops.repeat,
    "Tile": lambda x, repeats: keras.ops.tile(x, repeats),
    "BroadcastTo": lambda x, shape: keras.KerasTensor((x.shape[0], *shape[1:])),
    "Constant": lambda x, value: keras.KerasTensor((x.shape[0], *np.shape(value))),
    "Grey": lambda x: keras.KerasTensor((*x.shape[:-1], 1)),
    "Glu": keras.ops.glu,
    "Einsum": lambda x, subscripts: keras.ops.einsum(subscripts, *_listed(x)),
    "LuongAttention": lambda x, **_: keras.KerasTensor((*x[0].shape[:-1], x[1].shape[-1])),
    "DotProductAttention": lambda x, **_: keras.KerasTensor(x[0].shape),
    "Product": _product,
    "Swapaxes": keras.ops.swapaxes,
    "Moveaxis": keras.ops.moveaxis,
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Var", "Std", "Norm"), keras.ops.sum),
}


class Unrun(keras.Operation):  # type: ignore[misc]
    """An operation of `operations`, by its name."""

    def __init__(self, kind: str, arguments: Mapping[str, Any], name: str) -> None:
        super().__init__(name=name)
        self._kind, self._arguments = kind, arguments

    def __call__(self, x: Any) -> Any:
        """The symbolic tensor that it makes.

        Raises:
            ValueError: no layers can stand for it.
        """
        self.compute_output_spec(x)  # whose faults Keras would put into other words
        return super().__call__(x)

    def compute_output_spec(self, x: Any) -> Any:
        """The shape of what it makes."""
        make: Make = _OTHERS.get(self._kind, _same)
        shapes = [each.shape[1:] for each in _listed(x)]
        try:
            made = make(x, **self._arguments).shape
            if not any(None in shape for shape in shapes):
                layers_of(self._kind, self._arguments, shapes, made[1:])
        except (ValueError, TypeError) as fault:
            raise ValueError(f"layer {self.name!r} ({self._kind}) {fault}") from None
        return keras.KerasTensor(made, dtype="float32")

    def call(self, x: Any) -> Any:
        """Nothing."""
        raise NotImplementedError
