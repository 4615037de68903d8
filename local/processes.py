"""Starts processes so that they can be found again, and stops only these."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

GRACE_SECONDS = 5


def start(command, log, env, dies_with_us):
    """Starts a process in a new group, so that its children stop with it.

    A process of `up` outlives this one. A process of `run` must end with this one, even after kill -9, which leaves no
    time to clean up. The kernel then sends it SIGTERM.
    """
    with open(log, "wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            preexec_fn=tie_to_parent if dies_with_us else None,
        )
    return {"pid": child.pid, "born": born(child.pid)}


def tie_to_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def stop(processes):
    """Stops the processes with their groups. Skips a process whose number now belongs to another program."""
    ours = [process["pid"] for process in processes.values() if alive(process)]
    for pid in ours:
        kill_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while ours and time.monotonic() < deadline:
        reap()
        ours = [pid for pid in ours if group_exists(pid)]
        time.sleep(0.02)
    for pid in ours:
        kill_group(pid, signal.SIGKILL)
    reap()


def alive(process):
    """Whether this process still runs. Its number alone proves nothing, because another process may have it now."""
    return process["born"] is not None and born(process["pid"]) == process["born"]


def exists(pid):
    return born(pid) is not None


def born(pid):
    """The start of the process in the kernel's ticks, or None if it does not exist."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may contain spaces and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(fields[18])


def kill_group(pid, signal_number):
    try:
        os.killpg(pid, signal_number)
    except ProcessLookupError:
        pass


def group_exists(pid):
    try:
        os.killpg(pid, 0)
        return True
    except ProcessLookupError:
        return False


def reap():
    """Waits for our dead children, which would otherwise count as alive."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass
