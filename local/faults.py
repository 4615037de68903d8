"""A proxy that speaks AWS's protocols, between the deployed functions and the local AWS: microburst, from a seed.

    faults.py SEED --upstream URL --host HOST --port PORT

Its API (`/_microburst/rules`) takes the rules and counts the faults.
"""

import random
import sys

from microburst.cli import main

random.seed(int(sys.argv.pop(1)))
main()
