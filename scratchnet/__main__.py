"""`python -m scratchnet NAME ...` is `scratchnet NAME ...`, also where that command is not on the PATH."""

import sys

from scratchnet.commands import main

if __name__ == "__main__":
    sys.exit(main(call="python -m scratchnet"))
