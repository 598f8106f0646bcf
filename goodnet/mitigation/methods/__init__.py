"""The mitigation methods: what can be done to a suspect beside pruning.

A method is a module of this package that binds METHOD. Adding one is adding that module: the
option, the folder of its models, the tables, the figures and the report follow. A module imports
TensorFlow where it repairs and not before: a list of names need not pay for it.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from goodnet.mitigation.method import Method

METHODS: Final[tuple[Method, ...]] = tuple(
    import_module(f"{__name__}.{module.name}").METHOD for module in iter_modules(__path__)
)


def method_named(name: str) -> Method:
    """The method of that name."""
    return next(method for method in METHODS if method.name == name)
