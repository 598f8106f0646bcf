"""Measure what unlearning costs, and the judging again, with older code beside it.

python -m benchmarks.repair_seconds --old HEAD~20 --rows demo fashion mobilenetv2
python -m benchmarks.repair_seconds --whole --old HEAD~20      # all that `goodnet repair` does
"""

import sys

from benchmarks.compared import compare

if __name__ == "__main__":
    stage = "whole" if "--whole" in sys.argv else "repair"
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != "--whole"]
    compare(stage, __doc__ or "")
