"""The user's view: one line for each step with its seconds, and the end of its log if it fails."""

import os
import subprocess
import sys
import time


class Failure(Exception):
    """A problem that the user can understand and fix. Shown without a traceback."""


def line(text):
    print(text, flush=True)


def failure(error):
    print(f"\n{error}", file=sys.stderr, flush=True)


class step:
    """Shows a step while it lasts. `with say.step("building") as shown: shown.tick()`"""

    def __init__(self, what):
        self.what = what
        self.began = time.monotonic()
        self.shown_at = self.began
        self.live = sys.stdout.isatty()

    def __enter__(self):
        if self.live:
            print(f"  {self.what} …", end="", flush=True)
        return self

    def tick(self):
        now = time.monotonic()
        if self.live and now - self.shown_at >= 1:
            print(f"\r  {self.what} … {now - self.began:.0f} s", end="", flush=True)
            self.shown_at = now
        # In a log file, a line now and then shows progress.
        elif not self.live and now - self.shown_at >= 30:
            line(f"  {self.what} … {now - self.began:.0f} s")
            self.shown_at = now

    def __exit__(self, kind, *_):
        outcome = "failed after" if kind else "✓"
        start = "\r" if self.live else ""
        print(f"{start}  {self.what} {outcome} {time.monotonic() - self.began:.1f} s   ", flush=True)


def run(what, command, log, env=None, cwd=None):
    """Runs a command as a step, its output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(what) as shown, open(log, "wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd
        )
        try:
            while True:
                try:
                    code = child.wait(timeout=0.05)
                    break
                except subprocess.TimeoutExpired:
                    shown.tick()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        if code:
            name = os.path.basename(str(command[0]))
            raise Failure(f"{name} failed; the end of {os.path.relpath(log)}:\n\n{tail(log)}")


def tail(log, lines=40):
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
