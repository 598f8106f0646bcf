"""Operations of Keras 3 and functions of TensorFlow in a configuration, by one name each.

`ops.split` and `tf.split` become the same entry, with their arguments beside each other whether
they are written with the operation, with the call, or as constants. Where a layer does what they
do, whatever the shapes, it is the layer's. What is not on the list stays as it is, and is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from goodnet.network.arithmetic import TF_FUNCTIONS, constant_in, layer_entry, operands_of
from goodnet.network.checks import MOST_PARTS, is_number
from goodnet.network.rearrangement import index_of

Entry = Mapping[str, Any]


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
_LIMITS = {"x_min": ("Maximum", "math.maximum"), "x_max": ("Minimum", "math.minimum")}
_POWERS = ("Power", "math.pow")
_QUOTIENTS = ("TrueDivide", "Divide", "math.truediv", "math.divide")
_ITEMS = ("GetItem", "__operators__.getitem")


def as_operation(entry: Entry) -> Entry:
    """The entry of a layer or an operation; the entry itself if it is on no list."""
    nodes, config = entry.get("inbound_nodes") or [], entry.get("config") or {}
    written = str(entry["class_name"])
    of_tensorflow = written in TF_FUNCTIONS
    written = str(config.get("function")) if of_tensorflow else written
    if len(nodes) != 1:
        return entry
    operands, others = operands_of(nodes[0])
    said = {**({} if of_tensorflow else _said(config)), **others}
    said |= {"part": config["part"]} if "part" in config else {}
    read = READ.get(written)
    if read and read.constants:
        behind = [constant_in(each) for each in operands[1:]]
        said |= dict(zip(read.constants, behind, strict=False))
        operands = operands[:1]
    tensors = [each for each in operands if not is_number(each)]
    if written in _ITEMS:
        key = _key(operands[1:] or [others.get("slice_spec")])
        return layer_entry(entry, "GetItem", operands[:1], key=key)
    if len(operands) == 2 and len(tensors) == 1:
        return _with_number(entry, written, operands, others)
    if written == "split":
        return _apart(entry, operands, said)
    if not (read and tensors == operands and said is not None):
        return entry
    arguments = _arguments(read, said)
    if arguments is None:
        return entry
    if len(operands) == 1 and _is_list_of_tensors(operands[0]):
        operands = operands[0]
    kind, arguments = _finished(read.kind, arguments)
    return layer_entry(entry, kind, operands, **arguments)


def _key(values: Sequence[Any]) -> list[Any]:
    """What stands between the brackets of `x[...]`: numbers, None, "...", and lists for slices."""
    (key,) = values if len(values) == 1 else ([values],)
    key = key.get("items", key) if isinstance(key, dict) else key
    return [_item(each) for each in (key if isinstance(key, list) else [key])]


def _item(value: Any) -> Any:
    if isinstance(value, list):  # numbers of places, or a tensor
        return str(value)
    index = index_of(value)
    return "..." if index is ... else list(index.values()) if isinstance(index, dict) else index


def _said(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation of Keras 3 says of itself."""
    passed_over = ("name", "dtype", "trainable")
    return {k: v for k, v in config.items() if k not in passed_over and v is not None}


def _arguments(read: Read, said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Its arguments, by our names; None if it says something that is not known."""
    rest = {key: value for key, value in said.items() if key not in read.names}
    if any(value not in read.neutral.get(key, ()) for key, value in rest.items()):
        return None
    return {**read.given, **{ours: said[its] for its, ours in read.names.items() if its in said}}


def _with_number(
    entry: Entry, written: str, operands: Sequence[Any], others: Mapping[str, Any]
) -> Entry:
    """An operation on a tensor and a number."""
    first = is_number(operands[0])
    number, tensor = operands if first else operands[::-1]
    limit = next((limit for limit, names in _LIMITS.items() if written in names), None)
    if limit and not others:
        return layer_entry(entry, "Clip", [tensor], **{limit: number})
    if written in _POWERS and not first and not others:
        exponent = int(number) if number == int(number) else number
        kind = ("Sqrt", {}) if exponent == 0.5 else ("Power", {"exponent": exponent})
        return layer_entry(entry, kind[0], [tensor], **kind[1])
    if written in _QUOTIENTS and first and not others:
        return layer_entry(entry, "Reciprocal", [tensor], numerator=number)
    return entry


def _apart(entry: Entry, operands: Sequence[Any], said: Mapping[str, Any]) -> Entry:
    """`tf.split` as Keras has it: by where parts begin, not by their sizes."""
    sizes = said.get("num_or_size_splits")
    if isinstance(sizes, list):
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            return entry
        sizes = [sum(sizes[:number]) for number in range(1, len(sizes[:MOST_PARTS]))]
    rest = {key: value for key, value in said.items() if key != "num_or_size_splits"}
    arguments = {"axis": 0, "indices_or_sections": sizes, **rest}
    return layer_entry(entry, "Split", operands, **arguments)


def _finished(kind: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The layer's arguments, where these have another form."""
    if kind == "Gelu" and arguments["approximate"] is False:
        return "Activation", {"activation": "gelu"}
    if kind == "Resizing" and isinstance(size := arguments.pop("size", None), list):
        arguments |= dict(zip(("height", "width"), size, strict=False))
    for name in ("pool_size", "strides", "size", "dilation_rate"):  # of images, channels as well
        if _has_ends(arguments.get(name), 1):
            arguments[name] = arguments[name][1:3]
    if isinstance(mode := arguments.get("mode"), str):
        arguments["mode"] = mode.lower()
    if isinstance(padding := arguments.get("padding"), str):
        arguments["padding"] = padding.lower()
    zeros = not arguments.get("constant_values") and arguments.get("mode") in (None, "constant")
    if kind == "Pad" and zeros and _has_ends(arguments.get("pad_width"), [0, 0]):
        return "ZeroPadding2D", {"padding": arguments["pad_width"][1:3]}
    return kind, arguments


def _has_ends(value: Any, end: Any) -> bool:
    """Whether it says something of each of four axes, and nothing of the first and the last."""
    return isinstance(value, list) and len(value) == 4 and value[0] == value[3] == end


def _is_list_of_tensors(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not isinstance(value[0], str)


def operation_in(entry: Entry) -> Any:
    """The class of an entry, or TensorFlow's function in it."""
    of_tensorflow = entry["class_name"] in TF_FUNCTIONS
    return entry["config"].get("function") if of_tensorflow else entry["class_name"]
