"""Compares intake, fulfillment and receipts with budgets.json, on the build of the local stack: `make bench-check`.

It measures calls, sizes, a ratio of processor times and, with valgrind, instructions. No budget is a time, so a slow or busy
machine passes. The build has no link-time optimization, so its sizes are not those of a deployment.
"""

import json
import os
import platform
import shutil
import subprocess
import sys

import prepare
import say

import deployment  # of local/, which `prepare` has put on the path

BUILT = prepare.PROJECT / ".local" / "bench-check"
BUDGETS = prepare.BENCHES / "budgets.json"
FUNCTIONS = ("intake", "fulfillment", "receipts", "feedback", "sweep", "reconcile", "announcements")
# Enough for counts, and for a ratio with a margin.
PLAN = ("--starts", "3", "--events", "300", "--warm-up", "30", "--rounds", "5", "--orders", "20", "--rows", "0")


def main():
    deployment.build()
    prepare.BUILT = BUILT
    for name in FUNCTIONS:
        folder = prepare.emptied(BUILT / name)
        shutil.copy2(deployment.BUILD / f"{name.title()}Function" / "bootstrap", folder / "bootstrap")
        prepare.pack(name)
    # As the functions of the local stack.
    os.environ["CARGO_PROFILE_RELEASE_LTO"] = "off"
    prepare.native("bare", ["--package", "bare"])
    say.run(
        "building the harness",
        [os.environ.get("CARGO", "cargo"), "build", "--locked", "--package", "harness"],
        prepare.LOGS / "bench-cargo.log",
        cwd=prepare.PROJECT,
    )
    measure()
    measured = json.loads((BUILT / "bench.json").read_text())
    exceeded = [line for line in compare(measured, json.loads(BUDGETS.read_text())) if line]
    if exceeded:
        raise say.Failure("over budget (benches/budgets.json):\n" + "\n".join(f"  {line}" for line in exceeded))


def measure():
    counts = ("--instructions",) if shutil.which("valgrind") else ()
    say.run(
        "measuring calls, sizes and ratios" + (" and instructions" if counts else ""),
        [prepare.TARGET / "debug" / "harness", "--built", BUILT, "--out", BUILT, "--subjects", "intake,bare", *PLAN,
         *counts],
        prepare.LOGS / "bench-check.log",
        cwd=prepare.PROJECT,
    )


def compare(measured, budgets):
    """One line for each figure over its budget, else None."""
    intake, bare = (next(it for it in measured["subjects"] if it["name"] == name) for name in ("intake", "bare"))
    for event, most in budgets["calls"]["intake"].items():
        yield over(f"intake, {event} event, calls", sum(count for _, count in intake[event]["calls"]), most)
    for batch in measured["batches"]:
        most = budgets["calls"][batch["function"]]
        name = f"{batch['function']}, batch of {batch['size']} at {batch['latency_ms']} ms, calls a record"
        yield over(name, sum(count for _, count in batch["calls"]), most)
    ratio = intake["new"]["processor_ms"] / bare["new"]["processor_ms"]
    yield over("intake, processor time of a new event, times bare", ratio, budgets["processor_times_bare"])
    # Sizes and instructions are those of one processor.
    if platform.machine() != budgets["processor"]:
        return
    for name, most in budgets["zip_mb"].items():
        yield over(f"zip of {name}, MB", (BUILT / f"{name}.zip").stat().st_size / 1e6, most)
    if intake["instructions"]:
        for what, most in budgets["instructions_millions"].items():
            yield over(f"intake, instructions of {what}, millions", intake["instructions"][what] / 1e6, most)


def over(what, figure, most):
    # Calls are counts divided by events; a call in a thousand events is a call too many.
    exceeded = figure > most + 1e-9
    say.line(f"  {what}: {figure:.3f} of {most}{'  OVER BUDGET' if exceeded else ''}")
    return f"{what}: {figure:.3f}, and the budget is {most}" if exceeded else None


if __name__ == "__main__":
    try:
        main()
    except (say.Failure, subprocess.CalledProcessError) as failure:
        say.failure(failure)
        sys.exit(1)
