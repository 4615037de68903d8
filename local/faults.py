"""A proxy that speaks AWS's protocols, between the deployed functions and the local AWS: microburst, from a seed.

    faults.py SEED --upstream URL --host HOST --port PORT

Its rules come over its own API (`/_microburst/rules`), and so does the count of what it did.
"""

import random
import sys

from microburst.cli import main

random.seed(int(sys.argv.pop(1)))
main()
