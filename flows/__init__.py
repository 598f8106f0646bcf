"""What runs: Prefect flows that read like a method section."""

import sys
import warnings

from flows import prefect_settings
from goodnet.errors import RequestRefused

# Prefect warns as it is imported; flows/preconditions.py says it in one line, and ends there.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")

if sys.argv[0] == "-m":  # while `python -m flows...` imports this package, before all of Prefect
    try:
        prefect_settings.check()
    except RequestRefused as refused:
        print(f"failed: {refused}", file=sys.stderr)
        sys.exit(2)
