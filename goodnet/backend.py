"""TensorFlow and Keras, imported once, with the settings that GoodNet runs them at.

Everything that needs Keras takes it from here. Importing this module costs seconds; modules that
work without it do not import it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import: its log is not for users
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextmanager
def _silent() -> Iterator[None]:
    """Standard error, also of C++ code, goes nowhere: TensorFlow greets at start, always."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _silent():
    import keras
    import tensorflow as tf

    tf.constant(0)  # the second greeting comes with the first tensor

__all__ = ["keras", "tf"]
