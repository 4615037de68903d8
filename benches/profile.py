"""Prints the functions of intake in which the instructions go: of a start, and of a new event on a warm process.

Run benches/prepare.py first. A function's count includes what it calls.
"""

import os
import re
import shutil
import subprocess
import sys

import prepare

BUILT = prepare.BUILT / "profile"
EVENTS = 100
LEAST_SHARE = 0.01

# A line of callgrind_annotate: the count, its share, file:function, [object].
LINE = re.compile(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+\S+?:(.*?)(?: \[.*)?$")


def main():
    wrapper = unstripping()
    # The wrapper concerns the workspace's crates alone, so the other crates are not built again.
    os.environ["RUSTC_WORKSPACE_WRAPPER"] = str(wrapper)
    prepare.cargo("intake with its symbols", ["--bin", "intake"])
    folder = prepare.emptied(BUILT / "intake")
    shutil.copy2(prepare.TARGET / "release" / "intake", folder / "bootstrap")
    shutil.copy2(prepare.BUILT / "intake.zip", BUILT / "intake.zip")
    subprocess.run(
        [prepare.TARGET / "release" / "harness", "--built", BUILT, "--out", BUILT, "--subjects", "intake",
         "--starts", "1", "--events", "1", "--warm-up", "1", "--rounds", "1", "--orders", "0", "--instructions",
         *sys.argv[1:]],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for inclusive, title in ((True, "with what it calls"), (False, "alone")):
        start, once, twice = (counts(n, inclusive) for n in (0, EVENTS, 2 * EVENTS))
        show(f"start to first answer, each function {title}", start)
        show(
            f"new event, each function {title}",
            {name: (count - once.get(name, 0)) / EVENTS for name, count in twice.items()},
        )


def unstripping():
    BUILT.mkdir(parents=True, exist_ok=True)
    wrapper = BUILT / "rustc"
    wrapper.write_text('#!/bin/sh\nexec "$@" -C strip=none\n')
    wrapper.chmod(0o755)
    return wrapper


def counts(events, inclusive):
    """The counts of all functions, by name. The first key, None, has the total."""
    text = subprocess.run(
        ["callgrind_annotate", f"--inclusive={'yes' if inclusive else 'no'}", "--threshold=100",
         BUILT / f"intake.callgrind.{events}"],
        check=True, capture_output=True, text=True,
    ).stdout
    found = {}
    for count, name in (match.groups() for match in map(LINE.match, text.splitlines()) if match):
        found[name] = found.get(name, 0) + int(count.replace(",", ""))
    total = re.search(r"([\d,]+) \(100\.0%\)\s+PROGRAM TOTALS", text)
    return {None: int(total[1].replace(",", "")), **found}


def show(title, found):
    total = found[None]
    print(f"\n{title}: {total / 1e6:.3f} million")
    for name, count in sorted(found.items(), key=lambda pair: -pair[1]):
        if name and total * LEAST_SHARE <= count <= total:
            print(f"{count:12,.0f} {count / total:6.1%}  {name[:150]}")


if __name__ == "__main__":
    main()
