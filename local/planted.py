"""Plants a bug, one at a time, into a copy of the code, and expects the test that guards against it to fail.

A suite that stays green over a planted bug proves nothing. Run by `make planted`; each plant names the test that must
catch it, and a plant that no longer fits the code is an error: somebody has to look.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

from paths import LOCAL, PROJECT

COPY = LOCAL / "planted"
# So long may one test take; a bug that makes it hang is caught as well.
WITHIN_SECONDS = 600


@dataclass(frozen=True)
class Plant:
    """What is done to the code, and which test must notice."""

    bug: str
    file: str
    good: str
    bad: str
    package: str
    test: str


PLANTS = [
    Plant(
        "drop a condition: an event is stored over the one that is there",
        "shared/aws/src/events.rs",
        '.condition_expression("attribute_not_exists(event_id)")',
        '.condition_expression("attribute_not_exists(never_there)")',
        "tests", "contract::of_many_at_once_exactly_one_is_the_first",
    ),
    Plant(
        "complete without the owner token: whoever is late marks all the same",
        "shared/aws/src/receipts.rs",
        '.condition_expression("#state = :claimed AND #owner = :me")',
        '.condition_expression("#state = :claimed AND (#owner = :me OR attribute_exists(#owner))")',
        "tests", "contract::only_the_claimant_may_mark",
    ),
    Plant(
        "mark before sending: a mail that SES did not take counts as sent",
        "functions/receipts/src/lib.rs",
        "        match self.mailer.send(email).await {\n            Ok(message_id) => {",
        "        let early = MessageId::new(\"early\").map_err(|bad| Setback::Fault(bad.to_string()))?;\n"
        "        let marked = State::Sent { message_id: early, sent_at: self.clock.now() };\n"
        "        let _ = self.mark(id, attempt, &marked).await;\n"
        "        match self.mailer.send(email).await {\n            Ok(message_id) => {",
        "tests", "interruption::any_one_interruption_changes_no_end",
    ),
    Plant(
        "swallow a conflict: a lost race is taken for a commit",
        "functions/fulfillment/src/lib.rs",
        "        if self.ledger.commit(&commit).await? == Committed::Raced {\n            return Ok(None);\n        }\n"
        "        // At once:",
        "        let _ = self.ledger.commit(&commit).await?;\n        // At once:",
        "tests", "fulfillment::a_lost_race_is_read_and_decided_again",
    ),
    Plant(
        "sum refunds: every event of a refund adds its amount",
        "shared/domain/src/refund.rs",
        "        if told > self.told {\n            self.told = told;\n        }",
        "        let sum = self.told.value.amount + told.value.amount;\n"
        "        if told > self.told {\n            self.told = told;\n        }\n"
        "        self.told.value.amount = sum;",
        "tests", "news::overlapping_news_of_one_refund_have_one_effect",
    ),
    Plant(
        "compare by arrival: what comes last is taken for the newest",
        "shared/domain/src/facts.rs",
        "    if news > *known {\n        *known = news;\n    }",
        "    if news.is_some() {\n        *known = news;\n    }",
        "tests", "news::a_life_told_in_any_order_and_twice_comes_to_one_end_and_one_set_of_receipts",
    ),
    Plant(
        "forget the fresh-id key: a checkout is new with every event id",
        "functions/fulfillment/src/gather.rs",
        "        if let Some(order) = order.as_ref().filter(|order| order.fulfilled_at.is_some()) {",
        "        if let Some(order) = order.as_ref().filter(|order| order.fulfilled_at.is_none()) {",
        "tests", "fulfillment::the_same_checkout_under_a_new_event_id_changes_nothing_and_sends_nothing",
    ),
    Plant(
        "no deadline take-over: a dead claimant's mail waits for ever",
        "shared/domain/src/receipt/mod.rs",
        "            if left.is_positive() {\n                return Step::Wait(left.unsigned_abs());\n            }",
        "            if left.is_positive() || receipt.attempts > 0 {\n"
        "                return Step::Wait(left.unsigned_abs());\n            }",
        "tests", "interruption::any_one_interruption_changes_no_end",
    ),
    Plant(
        "TTL trusted as a clock: undone work may expire",
        "shared/domain/src/event.rs",
        "Self::Stored | Self::Committed | Self::Parked => false",
        "Self::Stored | Self::Committed | Self::Parked => true",
        "tests", "contract::only_what_has_ended_is_forgotten",
    ),
    Plant(
        "the secret is read anew with every forged request",
        "shared/aws/src/secrets.rs",
        "now.duration_since(held.tried_at).unsigned_abs() >= REREAD_AFTER",
        "now.duration_since(held.tried_at).unsigned_abs() >= REREAD_AFTER * 0",
        "aws", "secrets::tests::a_mismatch_reads_anew_at_most_once_a_minute_whatever_is_sent",
    ),
    Plant(
        "every failure begins the grace period anew",
        "shared/domain/src/subscription.rs",
        "InvoiceEvent::PaymentFailed => invoice.failed_at = earliest(invoice.failed_at, at),",
        "InvoiceEvent::PaymentFailed => invoice.failed_at = latest(invoice.failed_at, at),",
        "domain", "subscription",
    ),
    Plant(
        "a payment alone makes an order wait no longer: it is fulfilled unasked",
        "shared/domain/src/fulfillment/checkout.rs",
        "    if any(|status| *status == payment::Status::RequiresCapture) {\n        return Funds::Authorized;\n    }",
        "",
        "tests", "news::a_payment_that_is_captured_later_releases_goods_and_receipt_then_and_once",
    ),
    Plant(
        "goods go back with every event of a refund",
        "shared/domain/src/stock.rs",
        "let pieces = back.get(&movement.sku)?.saturating_sub(movement.returned);",
        "let pieces = *back.get(&movement.sku)?;",
        "tests", "news::overlapping_news_of_one_refund_have_one_effect",
    ),
    Plant(
        "test money reaches a customer",
        "shared/domain/src/receipt/mail.rs",
        "        Mode::Test => (merchant.test_recipient.clone(), None),",
        "        Mode::Test => (address(&customer)?, None),",
        "tests", "fulfillment::a_test_checkout_on_a_test_stack_is_fulfilled_and_only_the_merchant_hears_of_it",
    ),
    Plant(
        "operator: a redrive deletes a message before it is on the other queue",
        "shared/operator/src/redrive.rs",
        "                    queue.send(&job).await?;\n"
        "                    redriven.count(job.subject());\n"
        "                    letters.delete(&letter).await?;",
        "                    letters.delete(&letter).await?;\n"
        "                    redriven.count(job.subject());\n"
        "                    queue.send(&job).await?;",
        "tests", "operator::a_redrive_that_is_stopped_anywhere_loses_nothing_and_doubles_nothing",
    ),
    Plant(
        "operator: a mail is sent again whatever has become of it since it was looked at",
        "shared/operator/src/resend.rs",
        "_ if receipt.version != seen_version =>",
        "_ if receipt.version < seen_version =>",
        "tests", "operator::a_mail_is_sent_once_more_for_each_time_that_it_is_asked_for",
    ),
    Plant(
        "operator: a dry run reopens events",
        "shared/operator/src/events.rs",
        "Ok(Some(_)) if bounds.dry_run => Again::Reopened { from: state },",
        "",
        "tests", "operator::a_dry_run_writes_nothing_and_says_what_the_run_then_does",
    ),
    Plant(
        "operator: an event is reopened wherever it stands",
        "shared/aws/src/events.rs",
        '.set_key(Some(attributes(key(event_id))))\n            .condition_expression("#state = :from")',
        '.set_key(Some(attributes(key(event_id))))\n'
        '            .condition_expression("#state = :from OR attribute_exists(#state)")',
        "tests", "contract::desk::of_many_who_reopen_an_event_one_does",
    ),
]


def copy():
    """A copy of what git knows of, in which the plants are put."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = PROJECT / name
        if source.is_file():
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def test(plant):
    """Runs the test of a plant in the copy. Returns whether it passed, and what it printed."""
    # Not the project's own: cargo tells two copies of a workspace apart by nothing that lies in a shared folder.
    target = LOCAL / "planted-target"
    command = [
        "cargo", "test", "--locked", "--quiet", "--package", plant.package,
        *(["--lib"] if plant.package != "tests" else ["--test", "it"]), "--", plant.test,
    ]
    try:
        done = subprocess.run(
            command, cwd=COPY, capture_output=True, text=True, timeout=WITHIN_SECONDS,
            env={**os.environ, "CARGO_TARGET_DIR": str(target), "RUST_BACKTRACE": "0"},
        )
    except subprocess.TimeoutExpired:
        return False, "it hangs"
    return done.returncode == 0, done.stdout + done.stderr


def judge(plant):
    """Plants, tests, takes the plant out again. Returns what is wrong, if anything is."""
    path = COPY / plant.file
    good = path.read_text()
    if good.count(plant.good) != 1:
        return f"the plant fits {good.count(plant.good)} places of {plant.file}: mend local/planted.py"
    path.write_text(good.replace(plant.good, plant.bad))
    try:
        passed, printed = test(plant)
    finally:
        path.write_text(good)
    if passed:
        return f"NOT CAUGHT by {plant.test}"
    if "could not compile" in printed:
        return f"the plant does not compile: mend local/planted.py\n{printed[-2000:]}"
    if "0 passed; 0 failed" in printed and "FAILED" not in printed:
        return f"there is no test {plant.test}"
    return None


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("only", nargs="?", default="", help="plants whose description has this in it")
    only = asked.parse_args().only
    copy()
    wrong = 0
    plants = [plant for plant in PLANTS if only in plant.bug]
    for plant in plants:
        started = time.monotonic()
        problem = judge(plant)
        wrong += problem is not None
        took = f"{time.monotonic() - started:.0f} s"
        mark, what = ("✗", f"\n    {problem}") if problem else ("✓", f"\n    caught by {plant.test}, {took}")
        print(f"  {mark} {plant.bug}{what}", flush=True)
    print(f"{len(plants) - wrong} of {len(plants)} planted bugs are caught.")
    shutil.rmtree(COPY, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
