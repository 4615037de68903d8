"""Where things lie. Everything that is made lies under .local/, which git ignores; node_modules alone cannot."""

import contextlib
import fcntl
import pathlib
import shutil

PROJECT = pathlib.Path(__file__).resolve().parent.parent
LOCAL = PROJECT / ".local"
BUILD = LOCAL / "build"
STACK_FILE = LOCAL / "stack.json"


class Place:
    """The folder of one running stack: its description, its logs, its scratch space."""

    def __init__(self, root):
        self.root = root
        self.stack_file = root / "stack.json"
        self.logs = root / "logs"
        # Which calls the emulator allowed and which it refused.
        self.decisions = self.logs / "decisions.jsonl"
        self.scratch = root / "scratch"

    def prepare(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.decisions.unlink(missing_ok=True)
        self.scratch.mkdir()

    def clear(self):
        self.stack_file.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


@contextlib.contextmanager
def lock(name):
    """Keeps two runs on one machine from making the same thing at the same time."""
    LOCAL.mkdir(exist_ok=True)
    with open(LOCAL / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
