"""`python -m svcdns`: the same as the `svcdns` command."""

import sys

from svcdns.cli import main

if __name__ == "__main__":
    sys.exit(main())
