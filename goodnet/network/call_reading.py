"""The calls of a configuration's layers: names, references to tensors, and arguments.

Keras 2 writes a call as lists of `[layer, call, output, keywords]`, Keras 3 as arguments among
which tensors are objects with a history.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from goodnet.errors import ModelRefused, one_line
from goodnet.network.calls import Ref
from goodnet.network.checks import is_number
from goodnet.network.graph import Architecture, Layer
from goodnet.network.layers import OPERATIONS, traits_of
from goodnet.network.refusal import as_text

MOST_LAYERS: Final = 2_000
LONGEST_NAME: Final = 200
SWITCHES: Final = ("return_attention_scores", "use_causal_mask")  # of calls; off


class CallReader:
    """Reads calls.

    Args:
        source: the file, for error messages.
    """

    def __init__(self, source: object) -> None:
        self.source = source

    def arguments(self, layer: "Layer | Architecture", node: Any) -> tuple[Any, ...]:
        """The positional arguments of one call, from Keras 2's lists or Keras 3's tensors."""
        if isinstance(node, list):
            keywords = [dict(item[3]) for item in node if len(item) > 3]
            operands = _named_operands(layer, keywords[0], len(node)) if keywords else []
            refs = tuple(self.ref(item[:3]) for item in [*node, *operands])
            positional = traits_of(layer.kind).operands or layer.kind in OPERATIONS
            arguments = refs if len(refs) == 1 or positional else (refs,)
        else:
            named = dict(node.get("kwargs") or {})
            tensors = [*node["args"], *_named_operands(layer, named, len(node["args"]))]
            keywords, arguments = [named], tuple(self.argument(each, layer) for each in tensors)
            if traits_of(layer.kind).merging and len(arguments) > 1:  # a + b is Add()([a, b])
                arguments = (arguments,)
        for key, value in (pair for item in keywords for pair in item.items()):
            harmless = value is False or traits_of(layer.kind).same_in_training
            if not (value is None or (key in ("training", *SWITCHES) and harmless)):
                keyword = one_line(f"{key}={value}", 60)
                raise ModelRefused(self.source, f"layer {layer.name!r} is called with {keyword!r}")
        return arguments

    def argument(self, value: Any, layer: "Layer | Architecture") -> Any:
        """An argument as Keras 3 writes it: a tensor, tensors, or an operation's number."""
        if isinstance(value, list):
            return tuple(self.argument(item, layer) for item in value)
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            return self.ref(value["config"]["keras_history"])
        if layer.kind in OPERATIONS and is_number(value):
            return value
        raise ModelRefused(
            self.source, f"layer {layer.name!r} is called with {one_line(value, 60)!r}"
        )

    def ref(self, history: Any) -> Ref:
        """A tensor: which output of which call of which layer it is."""
        name, call, output = history
        if not all(isinstance(n, int) and 0 <= n <= MOST_LAYERS for n in (call, output)):
            raise ModelRefused(self.source, f"a damaged reference to layer {one_line(name, 60)!r}")
        return Ref(self.name(name), call, output)

    def check_outputs(self, nested: Mapping[str, Architecture], refs: Sequence[Ref]) -> None:
        """Refuse tensors that are not the first of a layer, or one of a nested model's."""
        for ref in refs:
            model = nested.get(ref.layer)
            if ref.output >= (len(model.outputs) if model else 1):
                raise ModelRefused(
                    self.source, f"layer {ref.layer!r} is used for more than one output"
                )

    def ends(self, data: Any) -> tuple[Ref, ...]:
        """The tensors that are a model's inputs or outputs: one, a list, or a named few."""
        if isinstance(data, dict):
            data = [data[key] for key in sorted(data)]
        single = isinstance(data, list) and len(data) == 3 and isinstance(data[0], str)
        return tuple(self.ref(item) for item in ([data] if single else data))

    def name(self, name: Any) -> str:
        """A layer's or a model's name as it is used here; refused if it is none."""
        text = as_text(name)
        if not text or len(text) > LONGEST_NAME or one_line(text) != text:
            raise ModelRefused(self.source, f"a layer is named {one_line(text, 60)!r}")
        return text.replace("/", "_")  # as Keras 3 demands; Keras 2 wrote "conv1/bn"


def _named_operands(
    layer: "Layer | Architecture", keywords: dict[str, Any], given: int
) -> list[Any]:
    """The tensors that a call names, in their order; they are taken out of its keywords."""
    names = traits_of(layer.kind).operands[given:]
    return [keywords.pop(name) for name in names if keywords.get(name) is not None]
