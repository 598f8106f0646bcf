"""Measure what a verdict costs, with older code beside it: `--old REVISION`.

python -m benchmarks.verdict_seconds --old HEAD~20 --rows demo fashion mobilenetv2
"""

from benchmarks.compared import compare

if __name__ == "__main__":
    compare("verdict", __doc__ or "")
