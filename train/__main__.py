"""`python -m train VERB`."""

import sys

from train.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
