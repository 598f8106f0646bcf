"""The attack zoo: all attacks by name.

A family is a module of this package that binds ATTACKS. Adding one is adding that module.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from goodnet.attacks.attack import Attack

ATTACKS: Final[tuple[Attack, ...]] = tuple(
    attack
    for module in iter_modules(__path__)
    for attack in import_module(f"{__name__}.{module.name}").ATTACKS
)


def attack_named(name: str) -> Attack:
    """The attack of that name.

    Raises:
        KeyError: there is none.
    """
    return {attack.name: attack for attack in ATTACKS}[name]
