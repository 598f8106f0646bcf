"""How operations of Keras 3 and functions of TensorFlow are read, see `function_calls`."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Read(NamedTuple):
    """How an operation is read.

    Attributes:
        kind: the layer, or the operation of `operations`.
        names: its arguments by the names that they have there.
        given: arguments that it has unless it says them.
        neutral: arguments that are left out, and the values that they may have.
        constants: arguments that may stand behind the tensors.
    """

    kind: str
    names: Mapping[str, str] = {}
    given: Mapping[str, Any] = {}
    neutral: Mapping[str, tuple[Any, ...]] = {}
    constants: tuple[str, ...] = ()


_AXIS = {"axis": "axis"}
_REDUCTION = {"axis": "axis", "keepdims": "keepdims"}
_L2 = {"ord": (2, "euclidean")}
_POOL = {"pool_size": "pool_size", "strides": "strides", "padding": "padding"}
_PADDING = {"mode": "mode", "constant_values": "constant_values"}
_PATCHES = {"sizes": "size", "strides": "strides", "rates": "dilation_rate", "padding": "padding"}
_NEIGHBOURS = ("depth_radius", "bias", "alpha", "beta")
_NO_BATCHES = {"batch_dims": (0,)}
_UNSCALED = {
    "use_scale": (False,),
    "score_mode": ("dot",),
    **dict.fromkeys(("training", "return_attention_scores", "use_causal_mask"), (False,)),
}
_UNMASKED = {"is_causal": (False,), "flash_attention": (False,)}
_FORMAT = {"data_format": ("channels_last",)}
_RESIZING = {
    "antialias": (False,),
    "crop_to_aspect_ratio": (False,),
    "pad_to_aspect_ratio": (False,),
    "preserve_aspect_ratio": (False,),
    "fill_mode": ("constant",),
    "fill_value": (0.0,),
    **_FORMAT,
}

# By the class of `keras.ops`, or the name of TensorFlow's function.
READ: Mapping[str, Read] = {
    "Unstack": Read("Unstack", {**_AXIS, "part": "part"}, {"axis": 0}),
    "unstack": Read("Unstack", {**_AXIS, "part": "part"}, {"axis": 0}),
    "Split": Read("Split", {"indices_or_sections": "indices_or_sections", "part": "part", **_AXIS}),
    "Stack": Read("Stack", _AXIS, {"axis": 0}),
    "stack": Read("Stack", _AXIS, {"axis": 0}),
    "concat": Read("Concatenate", _AXIS),
    "math.add_n": Read("Add"),
    "math.maximum": Read("Maximum"),
    "math.minimum": Read("Minimum"),
    "ExpandDims": Read("ExpandDims", _AXIS),
    "expand_dims": Read("ExpandDims", _AXIS),
    "Squeeze": Read("Squeeze", _AXIS),
    "squeeze": Read("Squeeze", _AXIS),
    "compat.v1.squeeze": Read("Squeeze", _AXIS),
    "Swapaxes": Read("Swapaxes", {"axis1": "axis1", "axis2": "axis2"}),
    "linalg.matrix_transpose": Read(
        "Swapaxes", given={"axis1": -1, "axis2": -2}, neutral={"conjugate": (False,)}
    ),
    "Moveaxis": Read("Moveaxis", {"source": "source", "destination": "destination"}),
    **{kind: Read(kind, _REDUCTION) for kind in ("Mean", "Sum", "Max", "Min", "Var", "Std")},
    "math.reduce_mean": Read("Mean", _REDUCTION),
    "math.reduce_sum": Read("Sum", _REDUCTION),
    "math.reduce_max": Read("Max", _REDUCTION),
    "math.reduce_min": Read("Min", _REDUCTION),
    "math.reduce_variance": Read("Var", _REDUCTION),
    "math.reduce_std": Read("Std", _REDUCTION),
    "Norm": Read("Norm", _REDUCTION, neutral=_L2),
    "norm": Read("Norm", _REDUCTION, neutral=_L2),
    "compat.v1.norm": Read("Norm", _REDUCTION, neutral=_L2),
    "Normalize": Read("UnitNormalization", _AXIS, neutral={"order": (2,), "epsilon": (1e-12,)}),
    "math.l2_normalize": Read("UnitNormalization", _AXIS, neutral={"epsilon": (1e-12,)}),
    "nn.l2_normalize": Read("UnitNormalization", _AXIS, neutral={"epsilon": (1e-12,)}),
    "Clip": Read("Clip", {"x_min": "x_min", "x_max": "x_max"}),
    "clip_by_value": Read("Clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "Square": Read("Power", given={"exponent": 2}),
    "math.square": Read("Power", given={"exponent": 2}),
    "Rsqrt": Read("Power", given={"exponent": -0.5}),
    "math.rsqrt": Read("Power", given={"exponent": -0.5}),
    "Reciprocal": Read("Reciprocal", given={"numerator": 1.0}),
    "math.reciprocal": Read("Reciprocal", given={"numerator": 1.0}),
    "Absolute": Read("Absolute"),
    "Abs": Read("Absolute"),
    "math.abs": Read("Absolute"),
    "math.sqrt": Read("Sqrt"),
    "math.log": Read("Log"),
    "math.sign": Read("Sign"),
    "ZerosLike": Read("Rescaling", given={"scale": 0.0, "offset": 0.0}),
    "zeros_like": Read("Rescaling", given={"scale": 0.0, "offset": 0.0}),
    "OnesLike": Read("Rescaling", given={"scale": 0.0, "offset": 1.0}),
    "ones_like": Read("Rescaling", given={"scale": 0.0, "offset": 1.0}),
    "Negative": Read("Rescaling", given={"scale": -1.0, "offset": 0.0}),
    "math.negative": Read("Rescaling", given={"scale": -1.0, "offset": 0.0}),
    "Gelu": Read("Gelu", {"approximate": "approximate"}, {"approximate": True}),
    "nn.gelu": Read("Gelu", {"approximate": "approximate"}, {"approximate": False}),
    "Elu": Read("ELU", {"alpha": "alpha"}),
    "nn.elu": Read("ELU"),
    "LeakyRelu": Read("LeakyReLU", {"negative_slope": "negative_slope"}),
    "nn.leaky_relu": Read("LeakyReLU", {"alpha": "negative_slope"}, {"negative_slope": 0.2}),
    "nn.softmax": Read("Softmax", _AXIS),
    "LogSoftmax": Read("Activation", given={"activation": "log_softmax"}, neutral={"axis": (-1,)}),
    "nn.log_softmax": Read(
        "Activation", given={"activation": "log_softmax"}, neutral={"axis": (-1,)}
    ),
    "Celu": Read("Activation", given={"activation": "celu"}, neutral={"alpha": (1.0,)}),
    "SoftShrink": Read(
        "Activation", given={"activation": "soft_shrink"}, neutral={"threshold": (0.5,)}
    ),
    "HardShrink": Read(
        "Activation", given={"activation": "hard_shrink"}, neutral={"threshold": (0.5,)}
    ),
    "Squareplus": Read("Activation", given={"activation": "squareplus"}, neutral={"b": (4,)}),
    "MaxPool": Read("MaxPooling2D", _POOL, neutral=_FORMAT),
    "AveragePool": Read("AveragePooling2D", _POOL, neutral=_FORMAT),
    "nn.max_pool2d": Read("MaxPooling2D", {**_POOL, "ksize": "pool_size"}),
    "nn.avg_pool": Read("AveragePooling2D", {**_POOL, "ksize": "pool_size"}),
    "nn.max_pool": Read("MaxPooling2D", {**_POOL, "ksize": "pool_size"}),
    "nn.avg_pool2d": Read("AveragePooling2D", {**_POOL, "ksize": "pool_size"}),
    "Resize": Read("Resizing", {"size": "size", "interpolation": "interpolation"}, {}, _RESIZING),
    "image.resize": Read("Resizing", {"size": "size", "method": "interpolation"}, {}, _RESIZING),
    "Pad": Read("Pad", {"pad_width": "pad_width", **_PADDING}),
    "compat.v1.pad": Read("Pad", {"paddings": "pad_width", **_PADDING}),
    "Take": Read("Take", {**_AXIS, "indices": "indices"}, constants=("indices",)),
    "compat.v1.gather": Read("Take", {**_AXIS, "indices": "indices"}, {"axis": 0}, _NO_BATCHES),
    "gather": Read("Take", {**_AXIS, "indices": "indices"}, {"axis": 0}, _NO_BATCHES),
    "Flip": Read("Flip", _AXIS),
    "reverse": Read("Flip", _AXIS),
    "image.flip_left_right": Read("Flip", given={"axis": -2}),
    "image.flip_up_down": Read("Flip", given={"axis": -3}),
    "Roll": Read("Roll", {**_AXIS, "shift": "shift"}),
    "roll": Read("Roll", {**_AXIS, "shift": "shift"}),
    "Repeat": Read("Repeat", {**_AXIS, "repeats": "repeats"}),
    "repeat": Read("Repeat", {**_AXIS, "repeats": "repeats"}),
    "Tile": Read("Tile", {"repeats": "repeats"}),
    "tile": Read("Tile", {"multiples": "repeats"}),
    "Glu": Read("Glu", _AXIS, {"axis": -1}),
    "Einsum": Read("Einsum", {"subscripts": "subscripts"}),
    "DotProductAttention": Read("DotProductAttention", {"scale": "scale"}, {}, _UNMASKED),
    "Attention": Read("LuongAttention", {"dropout": "dropout"}, {}, _UNSCALED),
    "FullLike": Read(
        "Rescaling", {"fill_value": "offset"}, {"scale": 0.0}, constants=("fill_value",)
    ),
    "RGBToGrayscale": Read("Grey", neutral=_FORMAT),
    "image.rgb_to_grayscale": Read("Grey"),
    "image.per_image_standardization": Read("Standardised"),
    "nn.local_response_normalization": Read(
        "LocalResponse", {each: each for each in _NEIGHBOURS}, constants=("bias",)
    ),
    "image.extract_patches": Read("ExtractPatches", _PATCHES, {"dilation_rate": 1}),
    "nn.space_to_depth": Read("ExtractPatches", {"block_size": "size"}, {"dilation_rate": 1}),
    "linalg.matmul": Read("Product", {"transpose_a": "transpose_a", "transpose_b": "transpose_b"}),
}
