"""Operations on tensors that a file may have between its layers, and what they may say.

Each has the name of its class in `keras.ops`; TensorFlow's functions in files of Keras 2 are given
these names in `function_calls`. None of them is built: layers stand for them, as soon as the shapes
are known, see `standard_operations`.
"""

from collections.abc import Mapping

from goodnet.network.checks import (
    IS_TABLE,
    LARGEST_SIZE,
    MOST_PARTS,
    Check,
    either,
    is_axis,
    is_bool,
    is_equation,
    is_number,
    is_part,
    is_share,
    is_size,
    is_whole,
    listed,
    one_of,
    optional,
)

_SLICE = listed(optional(is_whole), 3)  # start, stop, step
_REDUCTION: Mapping[str, Check] = {"axis": is_axis, "keepdims": is_bool}

OPERATION_ARGUMENTS: Mapping[str, Mapping[str, Check]] = {
    "GetItem": {"key": listed(either(is_whole, one_of(None, "..."), _SLICE))},
    # Of several tensors that they make, the one with the number `part`.
    "Split": {
        "indices_or_sections": either(is_part, listed(is_whole, MOST_PARTS)),
        "axis": is_whole,
        "part": is_part,
    },
    "Unstack": {"axis": is_whole, "part": is_part},
    "Stack": {"axis": is_whole},
    "ExpandDims": {"axis": is_axis},
    "Squeeze": {"axis": optional(is_axis)},
    "Swapaxes": {"axis1": is_whole, "axis2": is_whole},
    "Moveaxis": {"source": is_axis, "destination": is_axis},
    "Mean": _REDUCTION,
    "Sum": _REDUCTION,
    "Max": _REDUCTION,
    "Min": _REDUCTION,
    "Var": _REDUCTION,
    "Std": _REDUCTION,
    "Norm": _REDUCTION,
    "Clip": {"x_min": optional(is_number), "x_max": optional(is_number)},
    "Power": {"exponent": is_number},
    "Standardised": {},
    "Grey": {},
    "LocalResponse": {
        "depth_radius": is_part,
        "bias": is_number,
        "alpha": is_number,
        "beta": is_number,
    },
    "Reciprocal": {"numerator": is_number},
    "Absolute": {},
    "Gelu": {"approximate": one_of(True)},
    "Pad": {
        "pad_width": listed(listed(is_part, 2)),
        "mode": one_of("constant", "reflect", "symmetric", "edge"),
        "constant_values": is_number,
    },
    "Take": {"indices": either(is_whole, listed(is_whole, LARGEST_SIZE)), "axis": is_whole},
    "Flip": {"axis": is_axis},
    "Roll": {"shift": is_axis, "axis": is_axis},
    "Repeat": {"repeats": is_size, "axis": is_whole},
    "Tile": {"repeats": listed(is_size)},
    "BroadcastTo": {"shape": listed(optional(is_whole))},
    "Constant": {"value": IS_TABLE},  # for each image the same
    "Glu": {"axis": is_whole},
    "Einsum": {"subscripts": is_equation},
    "LuongAttention": {"dropout": is_share},
    "DotProductAttention": {"scale": optional(is_number)},
    "Product": {"transpose_a": is_bool, "transpose_b": is_bool},
}
