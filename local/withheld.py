"""Withholds a permission from a deployed role, one at a time, and expects the test that needs it to fail.

Runs on the local stack, by `make withheld`. First every test runs with all permissions, and must pass.
"""

import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import aws

WITHIN_SECONDS = 600
FLOW = "flow::a_paid_checkout_becomes_one_order_one_stock_movement_and_one_mail"
# The role, the action that it loses, and the test that must fail.
WITHHELD = [
    ("IntakeRole", "dynamodb:PutItem", FLOW),
    ("IntakeRole", "sqs:SendMessage", FLOW),
    ("FulfillmentRole", "dynamodb:PutItem", FLOW),
    ("ReceiptsRole", "ses:SendRawEmail", FLOW),
    ("FeedbackRole", "dynamodb:UpdateItem",
     "feedback::on_the_deployed_stack_reports_on_the_queue_settle_a_receipt_and_tell_its_order"),
    ("SweepRole", "sqs:SendMessage",
     "sweep::what_was_stored_an_hour_ago_and_never_queued_is_processed_on_the_deployed_stack"),
    ("ReconcileRole", "dynamodb:GetItem", "reconcile::half_of_the_webhooks_of_the_deployed_stack_are_made_up_for"),
]


def run(*tests):
    """The result of each test, by name; none of a run that took too long."""
    process = subprocess.Popen(
        ["cargo", "test", "--locked", "--package", "tests", "--test", "it", "--", "--exact", *tests],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    try:
        printed = process.communicate(timeout=WITHIN_SECONDS)[0]
    except subprocess.TimeoutExpired:
        # A test that hangs is cargo's child, and would go on.
        os.killpg(process.pid, signal.SIGKILL)
        return dict.fromkeys(tests, "hangs")
    return dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", printed, re.MULTILINE))


@contextlib.contextmanager
def withheld(role, action):
    """The role without the action, in every statement, for as long as the context lasts."""
    stack = json.loads(pathlib.Path(os.environ["STACK_FILE"]).read_text())
    endpoint = stack["endpoint"]
    name = aws.stack_resources(endpoint, stack["stack_name"])[role][1]
    policies = aws.role_policies(endpoint, name)
    found = False
    try:
        for policy, document in policies.items():
            reduced = copy.deepcopy(document)
            for statement in reduced["Statement"]:
                allowed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                found |= action in allowed
                statement["Action"] = [one for one in allowed if one != action]
            reduced["Statement"] = [one for one in reduced["Statement"] if one["Action"]]
            aws.put_role_policy(endpoint, name, policy, reduced)
        if not found:
            sys.exit(f"  ✗ {role} has no {action}: mend local/withheld.py")
        yield
    finally:
        for policy, document in policies.items():
            aws.put_role_policy(endpoint, name, policy, document)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tests = sorted({test for *_, test in WITHHELD})
    ended = run(*tests)
    if wrong := [test for test in tests if ended.get(test) != "ok"]:
        sys.exit(f"  ✗ with all permissions, these do not pass: {', '.join(wrong)}")
    missed = 0
    for role, action, test in WITHHELD:
        with withheld(role, action):
            result = run(test).get(test)
        noticed = result in ("FAILED", "hangs")
        missed += not noticed
        print(f"  {'✓' if noticed else '✗'} without {action}, {role}: {test} {result or 'did not run'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
