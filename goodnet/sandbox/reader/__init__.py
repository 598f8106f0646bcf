"""The reader process: takes an untrusted file apart and leaves plain arrays and JSON behind.

A program of its own, started by `sandbox/process.py` and never run by the rest. It knows neither
TensorFlow nor Keras. `content.json` says what it found, beside a `.npy` file for each array; a
refusal is `{"refused": "..."}`.
"""
