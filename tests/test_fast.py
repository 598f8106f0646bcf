"""What `make test-fast` leaves out is what imports lead to TensorFlow or a server from."""

import sys
from importlib import import_module

import pytest
from fast import HEAVY, is_heavy


@pytest.mark.parametrize(
    ("source", "heavy"),
    [
        ("import tensorflow as tf", True),
        ("from keras import layers", True),
        ("def test() -> None:\n    import prefect", True),
        ("from goodnet.pruning import zeroing", True),  # through modules of ours
        ("from goodnet.__main__ import main", True),  # which imports when it is asked
        ("from networks import NETWORKS", True),  # through modules of the tests
        ("from goodnet.pruning.curve import make_curve", False),
        ("from conftest import PROJECT", False),  # its fixtures import when they are asked for
        ("if TYPE_CHECKING:\n    import keras", False),
    ],
)
def test_imports_are_followed(source: str, heavy: bool) -> None:
    assert is_heavy(source) is heavy


def test_nothing_heavy_is_here_in_a_fast_run(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("fast"):
        assert not set(HEAVY) & set(sys.modules)
        with pytest.raises(pytest.fail.Exception, match="a fast test imports tensorflow"):
            import_module("tensorflow")
