"""`python -m goodnet`, the same as the command `goodnet`."""

import sys

from goodnet.command.main import main

if __name__ == "__main__":
    sys.exit(main())
