"""The Keras layers that an image classifier is built of: what they may say, and what they do.

ONE table, LAYERS, has a record for each class; the parser, the sweep, the pruning and the training
look there and name no class themselves. What is not in the table is refused, and so is an argument
that its record does not have. An argument that changes what the layer computes is checked, and so
are the rate of dropout and the momentum of normalisation, which a repaired network keeps for
whoever trains it further. Others that only matter in training (initialisers, regularisers,
constraints) are dropped. No value from a file ever names a Python object. docs/extending.md says
how to add a layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from goodnet.network.checks import (
    IS_CHANNELS_LAST,
    IS_DATA_FORMAT,
    IS_NUMBERS,
    IS_SIZES,
    IS_TABLE,
    Check,
    either,
    is_axis,
    is_bool,
    is_description,
    is_equation,
    is_number,
    is_padding,
    is_share,
    is_size,
    is_whole,
    listed,
    one_of,
    optional,
)
from goodnet.network.operations import OPERATION_ARGUMENTS

Arguments = Mapping[str, Any]
Axes = tuple[int, ...]  # of a weight, counted from its last one


class Activation(NamedTuple):
    """What an activation function f does.

    Attributes:
        keeps_zero: f(0) = 0, so a pruned channel stays at zero.
        order_preserving: it bends the scores and keeps their order: what is below are the logits.
        mixes: it is no function of one number: every channel has a part in each result.
        probability: what it makes of one number is a probability, a half in the middle.
    """

    keeps_zero: bool
    order_preserving: bool = False
    mixes: bool = False
    probability: bool = False


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": Activation(keeps_zero=True),
    "relu": Activation(keeps_zero=True),
    "relu6": Activation(keeps_zero=True),
    "leaky_relu": Activation(keeps_zero=True),
    "elu": Activation(keeps_zero=True),
    "selu": Activation(keeps_zero=True),
    "celu": Activation(keeps_zero=True),
    "gelu": Activation(keeps_zero=True),
    "silu": Activation(keeps_zero=True),
    "swish": Activation(keeps_zero=True),
    "mish": Activation(keeps_zero=True),
    "softplus": Activation(keeps_zero=False, order_preserving=True),
    "softsign": Activation(keeps_zero=True, order_preserving=True),
    "softmax": Activation(keeps_zero=False, order_preserving=True, mixes=True),
    "log_softmax": Activation(keeps_zero=False, order_preserving=True, mixes=True),
    "sigmoid": Activation(keeps_zero=False, order_preserving=True, probability=True),
    "hard_sigmoid": Activation(keeps_zero=False, probability=True),
    "hard_silu": Activation(keeps_zero=True),
    "hard_swish": Activation(keeps_zero=True),
    "tanh": Activation(keeps_zero=True, order_preserving=True),
    "hard_tanh": Activation(keeps_zero=True),
    "log_sigmoid": Activation(keeps_zero=False, order_preserving=True),
    "squareplus": Activation(keeps_zero=False, order_preserving=True),
    "soft_shrink": Activation(keeps_zero=True),
    "hard_shrink": Activation(keeps_zero=True),
    "tanh_shrink": Activation(keeps_zero=True),
    "exponential": Activation(keeps_zero=False, order_preserving=True),
}


# What functions of TensorFlow are called, where that is no name of Keras'.
TENSORFLOW_NAMES: Mapping[str, str] = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}


def always(*_: Any) -> bool:
    """Whatever the arguments are."""
    return True


def never(*_: Any) -> bool:
    """Whatever the arguments are, not."""
    return False


@dataclass(frozen=True, kw_only=True)
class LayerTraits:
    """What is known of a class of layers. The defaults claim nothing, so they are always safe.

    What its activation does comes on top: see `ACTIVATIONS`.

    Attributes:
        arguments: those it may have, each with the check of its value.
        renamed: arguments by the names of older Keras versions -> today's.
        neutral: arguments that are left out, and refused at any other value than this.
        converted: arguments that older versions wrote in another form -> what makes it today's.
        aliases: what older versions named the class.
        home: where Keras has it: "layers", a module of `keras.ops`, or "convnext", that network's
            layers; "ours" where only an author's code has it; "operation" of `operations`.
        role: what `choose_layer` goes by.
        prunable: its output has channels, on the last axis, that can be pruned.
        activation: of a layer that is an activation and nothing else, the default one.
        merging: it takes a list of tensors. Keras 3 writes `a + b` as a call with two arguments.
        same_in_training: it does in training what it does else, though Keras stores
            `training=True` with its calls.
        keeps_zero: of its arguments: whether a channel that is zero in all inputs comes out zero.
        shape_only: it changes the shape alone, and the channels take turns on the last axis.
        channelwise: of its arguments, and the features of its input's last axis that make one
            turn of all channels: whether each feature of its last axis depends on one channel.
        keeps_scale: pixels twice as large make an output twice as large.
        kernel: the name of its first weight, which multiplies the input.
        input_axis: the axis of the kernel on which the input's channels lie.
        output_axes: of each weight, the axes on which, together, the output's channels lie; ()
            for a weight without them. Zeroing these makes the output zero, up to the activation.
        weighted_sums: the kernel as a matrix times rows of its input, plus the bias, is what it
            computes before its activation, unless it has groups: a sweep adds up parts of it.
        normalises: scale and shift of each channel are its weights, and its statistics if it is
            "stored" ones that it normalises by, not its input's "own".
        operands: the tensors that it takes, if they may be given by name.
        gates: it weighs one tensor with another, number by number.
        pointwise: of its arguments: whether each place of a tensor (H, W, channels) depends on the
            same place of what it takes alone, and everywhere in the same way.
        slides: each place depends on those under a kernel or a pool that slides over one tensor.
        pads: it adds places around a tensor.
        chooses: it takes a condition, and makes one or the other of two tensors.
        rewritten: of its arguments: whether other layers stand for it, see `standard_layers`.
        contracts: each number is a sum of products along an axis of what it takes.
    """

    arguments: Mapping[str, Check] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    neutral: Mapping[str, Any] = field(default_factory=dict)
    converted: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    home: Literal["layers", "numpy", "nn", "image", "convnext", "ours", "operation"] = "layers"
    role: Literal["pooling", "convolution", "dense", "normalisation"] | None = None
    prunable: bool = False
    activation: Literal["linear", "softmax"] | None = None
    merging: bool = False
    same_in_training: bool = False
    keeps_zero: Callable[[Arguments], bool] = never
    shape_only: bool = False
    channelwise: Callable[[Arguments, int], bool] = never
    keeps_scale: bool = False
    kernel: str | None = None
    input_axis: int = -2
    output_axes: tuple[Axes, ...] = ()
    weighted_sums: bool = False
    normalises: Literal["stored", "own"] | None = None
    operands: tuple[str, ...] = ()
    gates: bool = False
    pointwise: Callable[[Arguments], bool] = never
    slides: bool = False
    pads: bool = False
    chooses: bool = False
    contracts: bool = False
    rewritten: Callable[[Arguments], bool] = never


def _like(base: LayerTraits, arguments: Mapping[str, Check], **changes: Any) -> LayerTraits:
    """A record with more arguments than another one, and other traits."""
    return replace(base, arguments={**base.arguments, **arguments}, **changes)


def _no_threshold(arguments: Arguments) -> bool:
    return arguments.get("threshold", 0) == 0 and arguments.get("max_value") != 0


def _whole_turns(arguments: Arguments, turn: int) -> bool:
    """Whether the last axis of a new shape holds whole turns of the channels."""
    last = arguments["target_shape"][-1]
    return bool(last > 0 and last % turn == 0)


def _alone(value: Any) -> Any:
    """The item of a list of one."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _over_channels(arguments: Arguments) -> bool:
    """Whether the axis is the last one of (n, H, W, channels)."""
    return _alone(arguments.get("axis", -1)) in (-1, 3)


def _flat_tables(arguments: Arguments) -> bool:
    """Whether scale and offset are numbers, or one for each channel."""
    tables = (arguments.get(name, 0) for name in ("scale", "offset"))
    return not any(isinstance(t, list | tuple) and isinstance(t[0], list | tuple) for t in tables)


def _shares_places(arguments: Arguments) -> bool:
    """Whether all places share their slopes."""
    return {1, 2} <= {*(arguments.get("shared_axes") or ())}


def _is_no_dense_layer(arguments: Arguments) -> bool:
    """Whether an EinsumDense does not do what a dense layer does, on the last axis."""
    equation = str(arguments.get("equation")).replace(" ", "")
    dense = {"ab,bc->ac": (None, "c"), "abc,cd->abd": (None, "d", "bd")}
    return arguments.get("bias_axes") not in dense.get(equation, ())


LAST: Axes = (-1,)
_ACTIVATION = either(
    lambda value: value is None, lambda value: isinstance(value, str) and value in ACTIVATIONS
)
_ALONE = either(is_size, listed(is_size, 1))
_SPATIAL: Mapping[str, Check] = {"data_format": IS_DATA_FORMAT}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
_CONVOLUTION = LayerTraits(
    arguments={
        "kernel_size": IS_SIZES,
        "strides": IS_SIZES,
        "padding": one_of("valid", "same"),
        "dilation_rate": IS_SIZES,
        "activation": _ACTIVATION,
        "use_bias": is_bool,
        **_SPATIAL,
    },
    role="convolution",
    prunable=True,
    kernel="kernel",
    output_axes=(LAST, LAST),
    slides=True,
)
_PASSING = LayerTraits(keeps_zero=always, channelwise=always, keeps_scale=True)
_UNCHANGED = replace(_PASSING, pointwise=always)
_POOLING = _like(
    _PASSING,
    {
        "pool_size": IS_SIZES,
        "strides": optional(IS_SIZES),
        "padding": one_of("valid", "same"),
        **_SPATIAL,
    },
    role="pooling",
    prunable=True,
    slides=True,
)
_GLOBAL_POOLING = replace(_POOLING, arguments={"keepdims": is_bool, **_SPATIAL}, slides=False)
_SEQUENCE_POOLING = _like(_GLOBAL_POOLING, {"data_format": IS_CHANNELS_LAST})
_ADAPTIVE_POOLING = replace(_GLOBAL_POOLING, arguments={"output_size": IS_SIZES, **_SPATIAL})
_DROPOUT = _like(_UNCHANGED, {"rate": is_number})
_ACTIVATING = LayerTraits(prunable=True, keeps_zero=always, channelwise=always, pointwise=always)
_MERGING = LayerTraits(merging=True, keeps_zero=always, keeps_scale=True, pointwise=always)
_NORMALISATION = LayerTraits(
    arguments={"axis": is_axis, "epsilon": is_number, "center": is_bool, "scale": is_bool}
)

# Layers that an example of Keras has people write, and all their arguments: a vision transformer's.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "Patches": ("patch_size",),
    "PatchEncoder": ("num_patches", "projection_dim"),
}

# By class name.
LAYERS: Mapping[str, LayerTraits] = {
    "Dense": LayerTraits(
        arguments={"units": is_size, "activation": _ACTIVATION, "use_bias": is_bool},
        role="dense",
        prunable=True,
        kernel="kernel",
        output_axes=(LAST, LAST),
        weighted_sums=True,
        pointwise=always,
    ),
    "Conv2D": _like(
        _CONVOLUTION,
        {"filters": is_size, "groups": is_size},
        aliases=("Convolution2D",),
        weighted_sums=True,
    ),
    "EinsumDense": LayerTraits(
        arguments={
            "equation": is_equation,
            "output_shape": either(is_size, listed(optional(is_size))),
            "activation": _ACTIVATION,
            "bias_axes": optional(lambda value: isinstance(value, str) and len(value) < 9),
        },
        role="dense",
        prunable=True,
        kernel="kernel",
        output_axes=(LAST, LAST),
        rewritten=_is_no_dense_layer,
    ),
    "DepthwiseConv2D": _like(
        _CONVOLUTION,
        {"depth_multiplier": is_size},
        neutral={"groups": 1},
        aliases=("DepthwiseConvolution2D",),
        channelwise=always,
        output_axes=((-2, -1), LAST),  # kernel: (height, width, inputs, multiplier)
    ),
    "SeparableConv2D": _like(
        _CONVOLUTION,
        {"filters": is_size, "depth_multiplier": is_size},
        neutral={"groups": 1},
        aliases=("SeparableConvolution2D",),
        kernel="depthwise_kernel",
        output_axes=((), LAST, LAST),  # the pointwise kernel comes second
    ),
    "Conv2DTranspose": _like(
        _CONVOLUTION,
        {"filters": is_size, "output_padding": optional(IS_SIZES)},
        neutral={"groups": 1},
        aliases=("Convolution2DTranspose",),
        input_axis=-1,  # kernel: (height, width, outputs, inputs)
        slides=False,
        output_axes=((-2,), LAST),
    ),
    "MaxPooling2D": replace(_POOLING, aliases=("MaxPool2D",)),
    "AveragePooling2D": replace(_POOLING, aliases=("AvgPool2D",)),
    "GlobalMaxPooling2D": replace(_GLOBAL_POOLING, aliases=("GlobalMaxPool2D",)),
    "GlobalAveragePooling2D": replace(_GLOBAL_POOLING, aliases=("GlobalAvgPool2D",)),
    "GlobalMaxPooling1D": replace(_SEQUENCE_POOLING, aliases=("GlobalMaxPool1D",)),
    "GlobalAveragePooling1D": replace(_SEQUENCE_POOLING, aliases=("GlobalAvgPool1D",)),
    "AdaptiveAveragePooling2D": _ADAPTIVE_POOLING,
    "AdaptiveMaxPooling2D": _ADAPTIVE_POOLING,
    "BatchNormalization": _like(
        _NORMALISATION,
        {"axis": either(is_whole, listed(is_whole, 1)), "momentum": is_share},
        converted={"axis": _alone},  # Keras 2 wrote a list of one
        aliases=("BatchNormalizationV1", "BatchNormalizationV2"),
        prunable=True,
        channelwise=always,
        normalises="stored",
        pointwise=_over_channels,
    ),
    "LayerNormalization": replace(
        _NORMALISATION,
        neutral={"rms_scaling": False},
        converted={"axis": _alone},
        role="normalisation",
        prunable=True,
        normalises="own",
        pointwise=_over_channels,
        rewritten=lambda arguments: _alone(arguments.get("axis", -1)) in (1, 2, 3, 4),
    ),
    "RMSNormalization": LayerTraits(arguments={"axis": is_axis, "epsilon": is_number}),
    "UnitNormalization": LayerTraits(arguments={"axis": is_axis}),
    "GroupNormalization": _like(_NORMALISATION, {"groups": is_whole, "axis": is_whole}),
    "MultiHeadAttention": LayerTraits(
        arguments={
            "num_heads": is_size,
            "key_dim": is_size,
            "value_dim": optional(is_size),
            "dropout": is_share,
            "use_bias": is_bool,
            "output_shape": optional(listed(is_size, 2)),
            "attention_axes": optional(is_axis),
        },
        converted={"output_shape": _alone},
        neutral={
            "use_gate": False,
            "softmax_robust_masking": False,
            "sliding_window": None,
            "flash_attention": None,
        },
        operands=("query", "value", "key"),
    ),
    "Activation": _like(_ACTIVATING, {"activation": _ACTIVATION}, activation="linear"),
    "ReLU": _like(
        _ACTIVATING,
        {
            "max_value": optional(is_number),
            "negative_slope": is_number,
            "threshold": is_number,
        },
        renamed={"theta": "threshold"},
        aliases=("ThresholdedReLU",),
        keeps_zero=_no_threshold,
    ),
    "LeakyReLU": _like(
        _ACTIVATING, {"negative_slope": is_number}, renamed={"alpha": "negative_slope"}
    ),
    "PReLU": _like(
        _ACTIVATING, {"shared_axes": optional(listed(is_size, 3))}, pointwise=_shares_places
    ),
    "ELU": _like(_ACTIVATING, {"alpha": is_number}),
    "Softmax": LayerTraits(
        arguments={"axis": is_axis}, activation="softmax", pointwise=_over_channels
    ),
    "Add": replace(_MERGING, prunable=True),
    "Subtract": replace(_MERGING, keeps_scale=False),
    "Multiply": LayerTraits(merging=True, gates=True, pointwise=always),
    "Average": _MERGING,
    "Maximum": _MERGING,
    "Minimum": _MERGING,
    "Dot": LayerTraits(arguments={"axes": is_axis, "normalize": is_bool}, contracts=True),
    "Concatenate": LayerTraits(
        arguments={"axis": is_whole}, prunable=True, keeps_scale=True, pointwise=_over_channels
    ),
    "Flatten": LayerTraits(
        arguments=_SPATIAL, shape_only=True, channelwise=always, keeps_scale=True
    ),
    "Reshape": LayerTraits(
        arguments={"target_shape": listed(is_whole)}, channelwise=_whole_turns, keeps_scale=True
    ),
    "Permute": LayerTraits(arguments={"dims": listed(is_size)}, keeps_scale=True),
    "Identity": _UNCHANGED,
    "Dropout": replace(  # EfficientNet's, in older files, and ConvNeXt's
        _DROPOUT,
        aliases=("FixedDropout", "StochasticDepth"),
        renamed={"drop_path_rate": "rate"},
    ),
    "SpatialDropout2D": _like(_DROPOUT, _SPATIAL),
    "AlphaDropout": replace(_DROPOUT, keeps_scale=False),
    "GaussianDropout": _DROPOUT,
    "GaussianNoise": _like(_UNCHANGED, {"stddev": is_number}, keeps_scale=False),
    "ActivityRegularization": _like(_UNCHANGED, {"l1": is_number, "l2": is_number}),
    "ZeroPadding2D": _like(_PASSING, {"padding": is_padding, **_SPATIAL}, pads=True),
    "Cropping2D": _like(_PASSING, {"cropping": is_padding, **_SPATIAL}),
    "CenterCrop": _like(
        _PASSING, {"height": is_size, "width": is_size, **_SPATIAL}, same_in_training=True
    ),
    "UpSampling2D": _like(
        _PASSING, {"size": IS_SIZES, "interpolation": one_of(*_INTERPOLATIONS), **_SPATIAL}
    ),
    "Rescaling": LayerTraits(
        arguments={"scale": IS_TABLE, "offset": IS_TABLE},
        channelwise=always,
        pointwise=_flat_tables,
    ),
    "Normalization": LayerTraits(
        arguments={
            "axis": optional(is_axis),
            "mean": optional(IS_NUMBERS),
            "variance": optional(IS_NUMBERS),
            "invert": one_of(False),
        },
        pointwise=_over_channels,
    ),
    "Resizing": LayerTraits(
        arguments={
            "height": is_size,
            "width": is_size,
            "interpolation": one_of(*_INTERPOLATIONS, "area"),
            "crop_to_aspect_ratio": is_bool,
            "pad_to_aspect_ratio": is_bool,
            "antialias": is_bool,
            "fill_mode": one_of("constant"),
            "fill_value": is_number,
            **_SPATIAL,
        },
        same_in_training=True,
        keeps_scale=True,
    ),
}

_FUNCTION = LayerTraits(home="numpy", pointwise=always)
# Functions that no layer does. A model made of two networks compares them by some of these, see
# network/goodnet.py. Keras opens them in `.keras` files only.
OPERATIONS: Mapping[str, LayerTraits] = {
    "Argmax": LayerTraits(arguments={"axis": is_whole, "keepdims": is_bool}, home="numpy"),
    "Equal": LayerTraits(home="numpy"),
    "Where": LayerTraits(home="numpy", chooses=True),
    "OneHot": LayerTraits(
        arguments={
            "num_classes": is_size,
            "axis": one_of(-1),
            "dtype": optional(one_of("float32")),
            "sparse": one_of(False),
        },
        home="nn",
    ),
    "Sqrt": replace(_FUNCTION, keeps_zero=always, channelwise=always),
    "Sign": replace(_FUNCTION, keeps_zero=always, channelwise=always),
    "Log": replace(_FUNCTION, channelwise=always),
    "TrueDivide": _FUNCTION,
    "Matmul": LayerTraits(home="numpy", contracts=True),
}

# What a file may have and no network of ours: others do the same, see network/standard_layers.py.
REWRITTEN: Mapping[str, LayerTraits] = {
    "SpectralNormalization": LayerTraits(
        arguments={"layer": is_description, "power_iterations": is_size}, rewritten=always
    ),
    "Conv1D": _like(  # along channels, as in ECA-Net
        _CONVOLUTION,
        {
            **dict.fromkeys(("kernel_size", "strides", "dilation_rate"), _ALONE),
            "filters": is_size,
            "groups": is_size,
            "data_format": IS_CHANNELS_LAST,
        },
        prunable=False,
        rewritten=always,
    ),
    "LayerScale": LayerTraits(
        arguments={"init_values": is_number, "projection_dim": is_size},
        home="convnext",
        rewritten=always,
    ),
    "ExtractPatches": LayerTraits(
        arguments={
            "size": IS_SIZES,
            "strides": optional(IS_SIZES),
            "dilation_rate": IS_SIZES,
            "padding": one_of("valid", "same"),
            **_SPATIAL,
        },
        home="image",
        rewritten=always,
    ),
    **{
        kind: LayerTraits(
            arguments=dict.fromkeys(arguments, is_size), home="ours", rewritten=always
        )
        for kind, arguments in EXAMPLES.items()
    },
    **{
        kind: LayerTraits(arguments=arguments, home="operation", rewritten=always)
        for kind, arguments in OPERATION_ARGUMENTS.items()
    },
}

# Those without weights that may be the activation of another layer.
ACTIVATION_LAYERS = frozenset({"ReLU", "LeakyReLU", "ELU", "Softmax"})

# Those that are known where there are images, and else no part of an image classifier.
SEQUENCES = frozenset({"Conv1D"})

# Layers of networks for texts, sequences, tables and volumes.
OTHER_DATA = frozenset(
    "LSTM GRU SimpleRNN RNN CuDNNLSTM CuDNNGRU LSTMCell GRUCell SimpleRNNCell StackedRNNCells "
    "Bidirectional TimeDistributed ConvLSTM1D ConvLSTM2D ConvLSTM3D Embedding Masking "
    "TextVectorization StringLookup IntegerLookup Hashing HashedCrossing CategoryEncoding "
    "Discretization SpatialDropout1D SpatialDropout3D "
    "Conv1DTranspose SeparableConv1D DepthwiseConv1D MaxPooling1D AveragePooling1D "
    "ZeroPadding1D Cropping1D UpSampling1D "
    "Conv3D Conv3DTranspose MaxPooling3D AveragePooling3D GlobalMaxPooling3D "
    "GlobalAveragePooling3D ZeroPadding3D Cropping3D UpSampling3D".split()
)

# They change images in training only. A repaired network has an Identity in their place, so that it
# always answers the same, whoever calls it and however.
RANDOM = frozenset(
    "RandomFlip RandomRotation RandomZoom RandomTranslation RandomShear RandomPerspective "
    "RandomHeight RandomWidth RandomElasticTransform RandomContrast RandomBrightness RandomHue "
    "RandomSaturation RandomSharpness RandomGrayscale RandomInvert RandomPosterization "
    "RandomColorJitter RandomColorDegeneration RandomGaussianBlur RandomErasing RandAugment "
    "AugMix".split()
)

# By Keras 3's class or TensorFlow's function: the merging layer that does it with two tensors.
ARITHMETIC: Mapping[str, str] = {
    "Add": "Add",
    "Subtract": "Subtract",
    "Multiply": "Multiply",
    "TrueDivide": "Divide",  # there is no such layer: with constants only
    "Divide": "Divide",
    "math.add": "Add",
    "__operators__.add": "Add",
    "nn.bias_add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
}
# By Keras 3's class or TensorFlow's function: the activation that it is.
FUNCTIONS: Mapping[str, str] = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Silu": "silu",
    "HardSilu": "hard_silu",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.silu": "silu",
    "nn.swish": "silu",
    "math.sigmoid": "sigmoid",
    "math.tanh": "tanh",
    "Exp": "exponential",
    "math.exp": "exponential",
    "Selu": "selu",
    "nn.selu": "selu",
    "math.softplus": "softplus",
    "Softsign": "softsign",
    "nn.softsign": "softsign",
    "LogSigmoid": "log_sigmoid",
    "math.log_sigmoid": "log_sigmoid",
    "HardTanh": "hard_tanh",
    "TanhShrink": "tanh_shrink",
    "StopGradient": "linear",
    "stop_gradient": "linear",
}

# Likewise those that pick a part of a tensor or stack, and the pooling that a mean, or a maximum,
# over all places is.
PICKS = frozenset({"GetItem", "__operators__.getitem"})
STACKS = frozenset({"Stack"})
MEANS: Mapping[str, str] = {
    "Mean": "GlobalAveragePooling",
    "Max": "GlobalMaxPooling",
    "math.reduce_mean": "GlobalAveragePooling",
    "math.reduce_max": "GlobalMaxPooling",
}
# All that moves numbers; some have the name of a layer, and other arguments.
MOVES = PICKS | STACKS | {*MEANS, "Reshape", "Transpose"}

INPUT = "InputLayer"
MODELS = frozenset({"Sequential", "Functional", "Model"})

# Part of every layer's configuration; the name and precision are read by themselves.
EVERY_LAYER = frozenset({"name", "dtype", "batch_input_shape", "batch_shape"})

# Without an influence on what a trained network answers.
TRAINING_ONLY = frozenset(
    "kernel_initializer bias_initializer beta_initializer gamma_initializer "
    "depthwise_initializer pointwise_initializer moving_mean_initializer "
    "moving_variance_initializer alpha_initializer kernel_regularizer bias_regularizer "
    "beta_regularizer gamma_regularizer depthwise_regularizer pointwise_regularizer "
    "alpha_regularizer activity_regularizer kernel_constraint bias_constraint beta_constraint "
    "gamma_constraint depthwise_constraint pointwise_constraint alpha_constraint "
    "synchronized renorm renorm_clipping renorm_momentum virtual_batch_size adjustment fused "
    "trainable seed noise_shape quantization_config lora_rank lora_alpha "
    "query_shape key_shape value_shape".split()
)

NOTHING = LayerTraits()


def traits_of(kind: str) -> LayerTraits:
    """The record of a class; one that claims nothing for inputs and nested models."""
    return LAYERS.get(kind) or OPERATIONS.get(kind) or REWRITTEN.get(kind, NOTHING)


def current_name(written: str) -> str:
    """Today's name of a class, whichever Keras version wrote it, or what stands in its place."""
    if written in RANDOM:
        return "Identity"
    named = (kind for kind, traits in LAYERS.items() if written in traits.aliases)
    return next(named, written)
