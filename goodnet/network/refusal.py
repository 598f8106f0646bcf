"""Why a layer is refused: for its true reason, and with what to do about it."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from goodnet.errors import one_line
from goodnet.network.arithmetic import TF_FUNCTIONS
from goodnet.network.layers import EVERY_LAYER, EXAMPLES, OTHER_DATA

LONGEST_CODE = 1 << 16  # characters of a Lambda that are looked at
MOST_NAMES = 8  # of it that are quoted
# A short text in Python's marshal format: its kind, its length, its characters.
SHORT_TEXT = re.compile(rb"[zZ\xfa\xda]([\x02-\x28])")


def is_of_keras(data: Mapping[str, Any]) -> bool:
    """Whether a layer claims to be Keras' own, as far as it says."""
    module, registered = data.get("module"), data.get("registered_name")
    ours = module is None or as_text(module).split(".")[0] in ("keras", "tf_keras", "tensorflow")
    return ours and registered in (None, data["class_name"])


def is_of_example(data: Mapping[str, Any]) -> bool:
    """Whether a layer has the class and the arguments, all and no others, of one in `EXAMPLES`.

    Of whose package it is does not count: everybody has it in code of their own.
    """
    written, said = data["class_name"], set(data["config"]) - EVERY_LAYER - {"trainable"}
    registered = as_text(data.get("registered_name") or written).split(">")[-1]
    return said == set(EXAMPLES.get(written, [""])) and registered == written


def reason_of_refusal(data: Mapping[str, Any]) -> str:
    """What a layer is that is refused, and why it is."""
    written, remedy = data["class_name"], "replace it by a standard layer and save again"
    if written == "Lambda":
        return (
            f"a Lambda, which is not allowed: it is code of the file's author{_named(data)}, and "
            f"that is never run; {remedy}"
        )
    if written in TF_FUNCTIONS:
        function = one_line(data["config"].get("function"), 60)
        return f"TensorFlow's function {function!r}, which is not allowed; {remedy}"
    if not is_of_keras(data) or written in EXAMPLES:
        fault = f"it is its author's own, and its code is not in the file; {remedy}"
    elif written in OTHER_DATA:
        fault = "it is no part of an image classifier"
    else:
        fault = f"it is none of the layers that can be rebuilt; {remedy}"
    return f"of class {claimed_class(data)!r}, which is not allowed: {fault}"


def claimed_class(data: Mapping[str, Any]) -> str:
    """The class that a layer or model says it is of, and whose, for messages."""
    written = data["class_name"]
    origin = data.get("registered_name") or data.get("module")
    return one_line(written if origin in (None, written) else f"{written} ({origin})", 60)


def _named(data: Mapping[str, Any]) -> str:
    """What a Lambda's code uses, in words: the names in its bytes, which are not unmarshalled."""
    function = data["config"].get("function")
    if isinstance(function, dict):  # Keras 3
        inner = function.get("config")
        function = inner.get("code") if isinstance(inner, dict) else inner
    code = function[0] if isinstance(function, list) and function else function
    if not isinstance(code, str):
        return ""
    if code.isidentifier():
        return f" (a function named {one_line(code, 60)!r})"
    names = names_in_code(code)
    return f" (it uses the names {', '.join(names)})" if names else ""


def names_in_code(code: str) -> list[str]:
    """The first names in a marshalled function, base64; it is neither run nor unmarshalled."""
    digits = re.sub(r"[^\w+/]", "", code[:LONGEST_CODE], flags=re.ASCII)
    try:
        content = base64.b64decode(digits[: len(digits) // 4 * 4])
    except binascii.Error:
        return []
    found = dict[str, None]()
    for start in SHORT_TEXT.finditer(content):
        text = content[start.end() : start.end() + start.group(1)[0]]
        name = text.decode("ascii", "replace")
        if len(text) == start.group(1)[0] and name.isidentifier():
            found[name] = None
    return list(found)[:MOST_NAMES]


def as_text(value: Any) -> str:
    """The value, which is a text.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"{one_line(value, 60)} stands for a name")
    return value
