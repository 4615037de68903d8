"""Computes what orders cost on AWS, from the kept run of the benchmark: `python3 benches/costs.py [--document | --check]`.

Calls, billed capacity, log lines and processor time are those of docs/benchmarks.json. Fixed costs are the table of
docs/deploying.md. Prices are list prices of us-east-1 as the authors knew them in 2025, without the free tier.
"""

import json
import pathlib
import re
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
RUN = PROJECT / "docs" / "benchmarks.json"
FIXED = PROJECT / "docs" / "deploying.md"
DOCUMENT = PROJECT / "docs" / "costs.md"
START, END = "<!-- costs: printed -->\n\n", "\n<!-- end -->"

MILLION = 1e6
GB = 1e9
# Dollars. The pages are those that docs/deploying.md names.
PRICES = {
    "HTTP API, a request": 1.00 / MILLION,
    "Lambda, a request": 0.20 / MILLION,
    "Lambda on arm64, a GB-second": 0.0000133334,
    "DynamoDB, a write unit": 0.625 / MILLION,
    "DynamoDB, a read unit": 0.125 / MILLION,
    "DynamoDB, a GB with its backup, a month": 0.25 + 0.20,
    "SQS, a request": 0.40 / MILLION,
    "SNS, a request": 0.50 / MILLION,
    "SES, a mail": 0.10 / 1000,
    "CloudWatch, a GB of logs": 0.50,
}

# As in template.yaml, in MB. All of a processor comes with 1,769 MB.
MEMORY = {"intake": 256, "fulfillment": 512, "receipts": 256, "feedback": 256}
WHOLE_PROCESSOR = 1769
# An answer of AWS or Flex, in ms.
LATENCY = 10
# Lambda's own lines for an invocation, in bytes.
PLATFORM_LINES = 600
# SES reports a mail as sent and as delivered.
REPORTS = 2
# With each checkout come these events: a payment's, counted as a checkout at fulfillment, and ones that need nothing.
PAYMENTS, STORED_ONLY = 1, 2
MONTHS_OF_EVENTS = 3
SHOPS = (100, 10_000, 1_000_000)


class Stage:
    """What one event, message or mail costs in a function."""

    def __init__(self, name, round_trips, processor_ms, write, read, log_bytes, queue, others=0.0):
        memory = MEMORY[name]
        milliseconds = round_trips * LATENCY + processor_ms * WHOLE_PROCESSOR / memory
        self.parts = {
            "Lambda": PRICES["Lambda, a request"]
            + milliseconds / 1000 * memory / 1024 * PRICES["Lambda on arm64, a GB-second"],
            "DynamoDB": write * PRICES["DynamoDB, a write unit"] + read * PRICES["DynamoDB, a read unit"],
            "queues": queue * PRICES["SQS, a request"],
            "logs": (log_bytes + PLATFORM_LINES) / GB * PRICES["CloudWatch, a GB of logs"],
            "API and mail": others,
        }


def stages(run):
    """The cost of a stage of one checkout, by function."""
    new = next(subject for subject in run["subjects"] if subject["name"] == "intake")["new"]
    units = new["billed"]["units"]
    found = {
        # A message for fulfillment is sent.
        "intake": Stage("intake", sum(count for _, count in new["calls"]), new["processor_ms"], units["write"],
                        units["read"], new["billed"]["log_bytes"], 1, PRICES["HTTP API, a request"]),
        # Received and deleted. A read and a write each, and a report passes SNS.
        "feedback": Stage("feedback", 2, new["processor_ms"], 2, 1, new["billed"]["log_bytes"], 3,
                          PRICES["SNS, a request"]),
    }
    for name, sent, others in (("fulfillment", 1, 0.0), ("receipts", 0, PRICES["SES, a mail"])):
        one = next(batch for batch in run["batches"]
                   if (batch["function"], batch["size"], batch["latency_ms"]) == (name, 1, LATENCY))
        billed = one["billed"]
        found[name] = Stage(name, one["round_trips"], one["processor_ms"], billed["units"]["write"],
                            billed["units"]["read"], billed["log_bytes"], 2 + sent, others)
    return found


def order(run):
    """The cost of an order with its other events, by what is billed."""
    counts = {
        "intake": 1 + PAYMENTS + STORED_ONLY,
        "fulfillment": 1 + PAYMENTS,
        "receipts": 1,
        "feedback": REPORTS,
    }
    sums = {}
    for name, stage in stages(run).items():
        for what, dollars in stage.parts.items():
            sums[what] = sums.get(what, 0) + counts[name] * dollars
    return sums


def stored(run, orders):
    """The cost of a month's storage after a year: all orders, and the events of the retention time."""
    new = next(subject for subject in run["subjects"] if subject["name"] == "intake")["new"]
    one = next(batch for batch in run["batches"] if batch["function"] == "fulfillment")
    # A unit is a KB, or half of one in a transaction.
    events = new["billed"]["units"]["write"] * 1024 * (1 + PAYMENTS + STORED_ONLY) * MONTHS_OF_EVENTS
    rows = one["billed"]["units"]["write"] / 2 * 1024 * 12
    return orders * (events + rows) / GB * PRICES["DynamoDB, a GB with its backup, a month"]


def fixed():
    """The sum of docs/deploying.md's table: alarms, metrics, secrets, polling, scheduled runs, logs."""
    section = FIXED.read_text().split("## What an idle stack costs", 1)[1]
    rows = section.split("| **sum**", 1)[0]
    return sum(float(cell) for cell in re.findall(r"\| ([\d.]+) \|$", rows, re.MULTILINE))


def million_events(run):
    """The cost of a million events: each a checkout with its mail, a duplicate, or a forgery."""
    of = {name: sum(stage.parts.values()) for name, stage in stages(run).items()}
    checkout = of["intake"] + of["fulfillment"] + of["receipts"] + REPORTS * of["feedback"]
    intake = next(subject for subject in run["subjects"] if subject["name"] == "intake")
    costs = [("checkouts, with order, receipt and feedback", checkout * MILLION)]
    for event in ("duplicate", "forged"):
        it = intake[event]
        units = it["billed"]["units"]
        stage = Stage("intake", sum(count for _, count in it["calls"]), it["processor_ms"], units["write"],
                      units["read"], it["billed"]["log_bytes"], 0, PRICES["HTTP API, a request"])
        name = "duplicates" if event == "duplicate" else "forgeries"
        costs.append((name, sum(stage.parts.values()) * MILLION))
    return costs


def printed(run):
    lines = ["| a million | dollars |", "|---|---:|"]
    lines += [f"| {name} | {cost:,.2f} |" for name, cost in million_events(run)]
    parts = order(run)
    lines += ["", "| a month, dollars | " + " | ".join(f"{orders:,} orders" for orders in SHOPS) + " |",
              "|---|" + "---:|" * len(SHOPS)]

    def row(name, of):
        lines.append(f"| {name} | " + " | ".join(f"{of(orders):,.2f}" for orders in SHOPS) + " |")

    for what, dollars in parts.items():
        row(what, lambda orders, dollars=dollars: orders * dollars)
    row("storage after a year", lambda orders: stored(run, orders))
    row("fixed: alarms, metrics, secrets, polling, scheduled runs", lambda _: fixed())
    row("**sum**", lambda orders: orders * sum(parts.values()) + stored(run, orders) + fixed())
    return "\n".join(lines) + "\n"


def main(arguments):
    table = printed(json.loads(RUN.read_text()))
    text = DOCUMENT.read_text()
    before, rest = text.split(START, 1)
    after = rest.split(END, 1)[1]
    wanted = before + START + table + END + after
    if "--document" in arguments:
        DOCUMENT.write_text(wanted)
    elif "--check" in arguments:
        if wanted != text:
            sys.exit("docs/costs.md is not of docs/benchmarks.json: python3 benches/costs.py --document")
    else:
        print(table, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
