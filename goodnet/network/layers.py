"""The Keras layers that an image classifier is built of, and the arguments they may have.

Everything else in a model's configuration is refused. An argument that changes what the layer
computes is checked here, and so are the rate of dropout and the momentum of normalisation, which a
repaired network keeps for whoever trains it further. Others that only matter in training
(initialisers, regularisers, constraints) are dropped. No value from a file ever names a Python
object.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]

ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu celu gelu silu swish mish softplus softsign softmax "
    "log_softmax sigmoid hard_sigmoid hard_silu hard_swish tanh hard_tanh exponential".split()
)

# f(0) = 0: an activation that leaves a pruned channel at zero.
ZERO_PRESERVING_ACTIVATIONS = frozenset(
    "linear relu relu6 leaky_relu elu selu celu gelu silu swish mish softsign hard_silu "
    "hard_swish tanh hard_tanh".split()
)

# Without an influence on what a trained network answers.
TRAINING_ONLY = frozenset(
    "kernel_initializer bias_initializer beta_initializer gamma_initializer "
    "depthwise_initializer pointwise_initializer moving_mean_initializer "
    "moving_variance_initializer alpha_initializer kernel_regularizer bias_regularizer "
    "beta_regularizer gamma_regularizer depthwise_regularizer pointwise_regularizer "
    "alpha_regularizer activity_regularizer kernel_constraint bias_constraint beta_constraint "
    "gamma_constraint depthwise_constraint pointwise_constraint alpha_constraint "
    "synchronized renorm renorm_clipping renorm_momentum virtual_batch_size adjustment fused "
    "trainable seed noise_shape quantization_config lora_rank lora_alpha".split()
)

LARGEST_SIZE = 1 << 20
MOST_NUMBERS = 1 << 16


def is_number(value: Any) -> bool:
    """Whether the value is a finite int or float, and no bool."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= 1e30
        and math.isfinite(value)
    )


def is_share(value: Any) -> bool:
    """Whether the value is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_bool(value: Any) -> bool:
    """Whether the value is true or false."""
    return isinstance(value, bool)


def is_size(value: Any) -> bool:
    """Whether the value is a positive whole number that a layer can have."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_SIZE


def is_whole(value: Any) -> bool:
    """Whether the value is a whole number of sensible size, of either sign."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_SIZE


def one_of(*values: Any) -> Check:
    """A check that the value is one of these."""
    return lambda value: any(value == v and type(value) is type(v) for v in values)


def optional(check: Check) -> Check:
    """A check that also lets `None` pass."""
    return lambda value: value is None or check(value)


def listed(check: Check, longest: int = 8) -> Check:
    """A check for lists (tuples, in Python) of at most `longest` items that all pass `check`."""
    return lambda value: (
        isinstance(value, list | tuple) and len(value) <= longest and all(map(check, value))
    )


def either(*checks: Check) -> Check:
    """A check that one of these passes."""
    return lambda value: any(check(value) for check in checks)


def _is_padding(value: Any) -> bool:
    whole = one_of(*range(4096))
    return either(whole, listed(either(whole, listed(whole, 2)), 2))(value)


def _is_reduction_axis(value: Any) -> bool:
    return either(is_whole, listed(is_whole))(value)


SIZES = either(is_size, listed(is_size, 2))
NUMBERS = either(is_number, listed(is_number, MOST_NUMBERS))
ACTIVATION = either(lambda value: value is None, lambda v: isinstance(v, str) and v in ACTIVATIONS)
CHANNELS_LAST = one_of("channels_last", None)

_CONVOLUTION: dict[str, Check] = {
    "kernel_size": SIZES,
    "strides": SIZES,
    "padding": one_of("valid", "same"),
    "data_format": CHANNELS_LAST,
    "dilation_rate": SIZES,
    "activation": ACTIVATION,
    "use_bias": is_bool,
}
_POOLING: dict[str, Check] = {
    "pool_size": SIZES,
    "strides": optional(SIZES),
    "padding": one_of("valid", "same"),
    "data_format": CHANNELS_LAST,
}
_GLOBAL_POOLING: dict[str, Check] = {"data_format": CHANNELS_LAST, "keepdims": is_bool}
_SPATIAL: dict[str, Check] = {"data_format": CHANNELS_LAST}
_DROPOUT: dict[str, Check] = {"rate": is_number}

# class name -> argument -> check
LAYERS: Mapping[str, Mapping[str, Check]] = {
    "Dense": {"units": is_size, "activation": ACTIVATION, "use_bias": is_bool},
    "Conv2D": {"filters": is_size, "groups": is_size, **_CONVOLUTION},
    "DepthwiseConv2D": {"depth_multiplier": is_size, **_CONVOLUTION},
    "SeparableConv2D": {"filters": is_size, "depth_multiplier": is_size, **_CONVOLUTION},
    "Conv2DTranspose": {"filters": is_size, "output_padding": optional(SIZES), **_CONVOLUTION},
    "MaxPooling2D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "BatchNormalization": {
        "axis": either(is_whole, listed(is_whole, 1)),
        "momentum": is_share,
        "epsilon": is_number,
        "center": is_bool,
        "scale": is_bool,
    },
    "LayerNormalization": {
        "axis": _is_reduction_axis,
        "epsilon": is_number,
        "center": is_bool,
        "scale": is_bool,
    },
    "GroupNormalization": {
        "groups": is_whole,
        "axis": is_whole,
        "epsilon": is_number,
        "center": is_bool,
        "scale": is_bool,
    },
    "Activation": {"activation": ACTIVATION},
    "ReLU": {
        "max_value": optional(is_number),
        "negative_slope": is_number,
        "threshold": is_number,
    },
    "LeakyReLU": {"negative_slope": is_number},
    "PReLU": {"shared_axes": optional(listed(is_size, 3))},
    "ELU": {"alpha": is_number},
    "Softmax": {"axis": _is_reduction_axis},
    "Add": {},
    "Subtract": {},
    "Multiply": {},
    "Average": {},
    "Maximum": {},
    "Minimum": {},
    "Concatenate": {"axis": is_whole},
    "Flatten": _SPATIAL,
    "Reshape": {"target_shape": listed(is_whole)},
    "Permute": {"dims": listed(is_size)},
    "Dropout": _DROPOUT,
    "SpatialDropout2D": {**_DROPOUT, **_SPATIAL},
    "AlphaDropout": _DROPOUT,
    "GaussianDropout": _DROPOUT,
    "GaussianNoise": {"stddev": is_number},
    "ActivityRegularization": {"l1": is_number, "l2": is_number},
    "ZeroPadding2D": {"padding": _is_padding, **_SPATIAL},
    "Cropping2D": {"cropping": _is_padding, **_SPATIAL},
    "UpSampling2D": {
        "size": SIZES,
        "interpolation": one_of("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"),
        **_SPATIAL,
    },
    "Rescaling": {"scale": NUMBERS, "offset": NUMBERS},
    "Normalization": {
        "axis": optional(_is_reduction_axis),
        "mean": optional(NUMBERS),
        "variance": optional(NUMBERS),
        "invert": one_of(False),
    },
    "Resizing": {
        "height": is_size,
        "width": is_size,
        "interpolation": one_of("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"),
        "crop_to_aspect_ratio": is_bool,
        "pad_to_aspect_ratio": is_bool,
        "antialias": is_bool,
        "fill_mode": one_of("constant"),
        "fill_value": is_number,
        **_SPATIAL,
    },
}

# The functions with which a model made of two networks compares them; see network/goodnet.py.
OPERATIONS: Mapping[str, Mapping[str, Check]] = {
    "Argmax": {"axis": is_whole, "keepdims": is_bool},
    "Equal": {},
    "Where": {},
    "OneHot": {
        "num_classes": is_size,
        "axis": one_of(-1),
        "dtype": optional(one_of("float32")),
        "sparse": one_of(False),
    },
}

# Take a list of tensors; Keras 3 writes `a + b` as a call of "Add" with two arguments.
MERGING = frozenset("Add Subtract Multiply Average Maximum Minimum".split())

# Do in training what they do else, though Keras stores `training=True` with their calls.
SAME_IN_TRAINING = frozenset({"Resizing"})

INPUT = "InputLayer"
MODELS = frozenset({"Sequential", "Functional", "Model"})

# Names and arguments that older Keras versions wrote.
RENAMED_CLASSES: Mapping[str, str] = {
    "Convolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}
RENAMED_ARGUMENTS: Mapping[str, Mapping[str, str]] = {"LeakyReLU": {"alpha": "negative_slope"}}

# Arguments that are let pass, and left out, only at the value at which they do nothing.
NEUTRAL: Mapping[str, Mapping[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1},
    "SeparableConv2D": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "LayerNormalization": {"rms_scaling": False},
}
