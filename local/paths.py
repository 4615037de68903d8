"""Paths. All generated files are under .local/, which git ignores, except node_modules."""

import contextlib
import fcntl
import os
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
        # The emulator's decision about each call.
        self.decisions = self.logs / "decisions.jsonl"
        self.scratch = root / "scratch"

    def prepare(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (LOCAL, self.root, self.logs, self.scratch):
            make_private(folder)
        self.decisions.unlink(missing_ok=True)

    def clear(self):
        self.stack_file.unlink(missing_ok=True)
        shutil.rmtree(self.scratch, ignore_errors=True)


def make_private(folder):
    """Makes a folder that only this user can enter. The local AWS keeps secrets in it, in files of any mode."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # An older checkout may have made it with other permissions.
    folder.chmod(0o700)


def write_private(file, text):
    """Writes a file that only this user can read. It appears complete or not at all."""
    unfinished = file.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    unfinished.rename(file)


@contextlib.contextmanager
def lock(name):
    """Prevents two runs on one machine from making the same thing at the same time."""
    make_private(LOCAL)
    with open(LOCAL / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
