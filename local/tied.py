"""Runs a command that ends when its parent process ends, even by kill -9: tied.py CMD…"""

import os
import sys

import processes

processes.tie_to_parent()
os.execvp(sys.argv[1], sys.argv[1:])
