"""Plants a bug, one at a time, into a copy of the code, and expects the test that guards against it to fail.

A suite that stays green over a planted bug proves nothing. Run by `make planted`; each plant names the one test that must
catch it. First all these tests are run without a plant, and must pass: a test that fails anyway catches nothing. A plant
that no longer fits the code, or whose test is gone, is an error: somebody has to look. `--check` looks for that alone,
without a build, and is a part of `make test`.
"""

import argparse
import contextlib
import copy
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import aws
from paths import LOCAL, PROJECT

COPY = LOCAL / "planted"
# The time limit of built tests. A bug that makes a test hang counts as caught.
WITHIN_SECONDS = 600
# The folder of each package's test modules, and cargo's option for them.
PACKAGES = {
    "domain": ("shared/domain/src", ["--lib"]),
    "aws": ("shared/aws/src", ["--lib"]),
    "tests": ("tests/it", ["--test", "it"]),
}
# A test of the ports' contract is run on both: it is one function.
ON = ("::in_memory", "::on_dynamodb")


# A checkout on the deployed stack, from its webhook to its mail.
FLOW = "flow::a_paid_checkout_becomes_one_order_one_stock_movement_and_one_mail"


@dataclass(frozen=True)
class Plant:
    """What is done to the code, and which test must notice, by its full path."""

    bug: str
    file: str
    good: str
    bad: str
    package: str
    test: str


@dataclass(frozen=True)
class Withheld:
    """A permission that is taken from a role of the deployed stack, and the test that must notice."""

    role: str
    sid: str
    action: str
    test: str
    package: str = "tests"

    @property
    def bug(self):
        return f"withhold {self.action} from {self.role} ({self.sid})"


PLANTS = [
    Plant(
        "drop a condition: an event is stored over the one that is there",
        "shared/aws/src/events.rs",
        '.condition_expression("attribute_not_exists(event_id)")',
        '.condition_expression("attribute_not_exists(never_there)")',
        "tests", "contract::of_many_at_once_exactly_one_is_the_first::on_dynamodb",
    ),
    Plant(
        "drop a condition: a movement is made over the one that is there",
        "shared/aws/src/stock.rs",
        "    let put = row::first(table, key, row::item(TABLE, movement)?)?;",
        "    let mut put = row::first(table, key, row::item(TABLE, movement)?)?;\n"
        "    put.condition_expression = Some(\"attribute_not_exists(#key) OR attribute_exists(#key)\".to_owned());",
        "tests", "contract::a_movement_is_never_made_twice::on_dynamodb",
    ),
    Plant(
        "drop a condition: goods are taken though fewer are on the shelf",
        "shared/aws/src/stock.rs",
        'counter.condition_expression("on_hand >= :taken")',
        'counter.condition_expression("on_hand >= :taken OR attribute_exists(on_hand)")',
        "tests", "contract::a_commit_on_a_changed_world_writes_nothing::on_dynamodb",
    ),
    Plant(
        "drop a condition: an order is short by what a shelf once lacked",
        "shared/aws/src/stock.rs",
        'counter.condition_expression("on_hand = :seen")',
        'counter.condition_expression("on_hand = :seen OR attribute_exists(on_hand)")',
        "tests", "contract::a_commit_on_a_changed_world_writes_nothing::on_dynamodb",
    ),
    Plant(
        "drop a condition: goods go back that are back already",
        "shared/aws/src/stock.rs",
        '_ => "#returned = :seen",',
        '_ => "(#returned = :seen OR attribute_exists(taken))",',
        "tests", "contract::goods_go_back_once_and_never_more_than_were_taken::on_dynamodb",
    ),
    Plant(
        "drop a condition: a row is written over one that has changed since it was read",
        "shared/aws/src/row.rs",
        '.condition_expression("version = :before")',
        '.condition_expression("version = :before OR attribute_exists(version)")',
        "tests", "contract::every_kind_of_row_is_guarded_by_its_version::on_dynamodb",
    ),
    Plant(
        "drop a condition: a receipt is owed anew over the one that is there",
        "shared/aws/src/receipts.rs",
        "    row::first(table, key(&receipt.receipt_id), item)",
        "    let mut put = row::first(table, key(&receipt.receipt_id), item)?;\n"
        "    put.condition_expression = Some(\"attribute_not_exists(#key) OR attribute_exists(#key)\".to_owned());\n"
        "    Ok(put)",
        "tests", "contract::a_receipt_that_is_there_already_refuses_all::on_dynamodb",
    ),
    Plant(
        "drop a condition: a part of a long cart is written for an event that has ended",
        "shared/aws/src/events.rs",
        "    ConditionCheck::builder()\n"
        "        .table_name(table)\n"
        "        .set_key(Some(attributes(key(id))))\n"
        '        .condition_expression("#state = :stored")',
        "    ConditionCheck::builder()\n"
        "        .table_name(table)\n"
        "        .set_key(Some(attributes(key(id))))\n"
        '        .condition_expression("#state = :stored OR attribute_exists(#state)")',
        "tests",
        "contract::a_cart_too_big_for_one_transaction_moves_nothing_for_an_event_that_has_ended::on_dynamodb",
    ),
    Plant(
        "take the first of a transaction's reasons for all: a condition that failed beside a conflict is tried again",
        "shared/aws/src/ledger.rs",
        'Some("ConditionalCheckFailed") => return Verdict::Raced,',
        'Some("TransactionConflict") => return Verdict::Again,\n'
        '            Some("ConditionalCheckFailed") => return Verdict::Raced,',
        "tests", "adapters::one_failed_condition_is_the_answer_whatever_the_other_reasons_are",
    ),
    Plant(
        "give a transaction up at its first conflict",
        "shared/aws/src/ledger.rs",
        "Verdict::Again => {}",
        'Verdict::Again => return Err(Setback::Raced { what: "the transaction", tries: MOST_TRIES }),',
        "tests",
        "adapters::a_transaction_that_met_another_or_was_throttled_is_tried_again_until_it_goes_through",
    ),
    Plant(
        "complete without the owner token: whoever is late marks all the same",
        "shared/aws/src/receipts.rs",
        '.condition_expression("#state = :claimed AND #owner = :me")',
        '.condition_expression("#state = :claimed AND (#owner = :me OR attribute_exists(#owner))")',
        "tests", "contract::only_the_claimant_may_mark::on_dynamodb",
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
        "send no message: a receipt that is owed is left to the sweep",
        "functions/fulfillment/src/lib.rs",
        "        self.queue(receipt_ids).await?;\n        // If it is marked already",
        "        let _ = receipt_ids;\n        // If it is marked already",
        "tests", "interruption::however_it_is_told_and_interrupted_each_checkout_counts_once",
    ),
    Plant(
        "sum refunds: every event of a refund adds its amount",
        "shared/domain/src/refund.rs",
        "        if (told.value.status.is_known(), &told) > (self.told.value.status.is_known(), &self.told) {\n"
        "            self.told = told;\n        }",
        "        let sum = self.told.value.amount + told.value.amount;\n"
        "        if (told.value.status.is_known(), &told) > (self.told.value.status.is_known(), &self.told) {\n"
        "            self.told = told;\n        }\n"
        "        self.told.value.amount = sum;",
        "tests", "news::overlapping_news_of_one_refund_have_one_effect",
    ),
    Plant(
        "compare by arrival: what comes last is taken for the newest",
        "shared/domain/src/facts.rs",
        "    if news > *known {\n        *known = news;\n    }",
        "    if news.is_some() {\n        *known = news;\n    }",
        "domain", "facts::tests::the_order_and_the_number_of_arrivals_do_not_matter",
    ),
    Plant(
        "forget the fresh-id key: an order is named after its event, so that a checkout is new with every event id",
        "shared/domain/src/fulfillment/checkout.rs",
        "    let payments = payments(checkout, rows, now);\n    let not_complete = |word: &str| {",
        "    let mut fresh = checkout.clone();\n"
        "    if let Ok(id) = OrderId::new(format!(\"{}-{}\", fresh.order_id, event.event_id)) {\n"
        "        fresh.order_id = id;\n    }\n"
        "    let checkout = &fresh;\n"
        "    let payments = payments(checkout, rows, now);\n    let not_complete = |word: &str| {",
        "tests", "fulfillment::the_same_checkout_under_a_new_event_id_changes_nothing_and_sends_nothing",
    ),
    Plant(
        "overlook that an order is fulfilled: its twin under a fresh id loses every race and comes to no end",
        "functions/fulfillment/src/gather.rs",
        "        let wanted = Wanted { order: Some(id.clone()), ..Wanted::default() };\n"
        "        Ok(self.ledger.read(&wanted).await?.order)",
        "        let wanted = Wanted { order: Some(id.clone()), ..Wanted::default() };\n"
        "        Ok(self.ledger.read(&wanted).await?.order.filter(|order| order.fulfilled_at.is_none()))",
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
        "TTL: undone work may expire",
        "shared/domain/src/event.rs",
        "Self::Stored | Self::Committed | Self::Parked => false",
        "Self::Stored | Self::Committed | Self::Parked => true",
        "tests", "contract::only_what_has_ended_is_forgotten",
    ),
    Plant(
        "TTL: what is reopened keeps its expiry, and is forgotten undone",
        "shared/aws/src/events.rs",
        " REMOVE expires_at, swept_at",
        " REMOVE swept_at",
        "tests", "contract::desk::what_is_reopened_is_not_forgotten_and_what_is_dropped_is",
    ),
    Plant(
        "TTL trusted as a clock: an event that is not there is taken for one that was done and is forgotten",
        "functions/fulfillment/src/lib.rs",
        'let event = self.events.event(event_id).await?.ok_or(Setback::Missing { what: "the event" })?;',
        "let Some(event) = self.events.event(event_id).await? else { return Ok(Outcome::Duplicate) };",
        "tests", "operator::dead_letters_redriven_days_later_in_any_order_by_two_operators_are_done_once",
    ),
    Plant(
        "an unsigned request has the secrets read",
        "functions/intake/src/lib.rs",
        "        let unverified = match provider {\n"
        "            Provider::Flex => flex::check(incoming.header, incoming.body, self.clock.now())?,\n"
        "        };\n"
        "        match unverified.verify(&self.keys.keys(provider).await) {\n",
        "        let keys = self.keys.keys(provider).await;\n"
        "        let unverified = match provider {\n"
        "            Provider::Flex => flex::check(incoming.header, incoming.body, self.clock.now())?,\n"
        "        };\n"
        "        match unverified.verify(&keys) {\n",
        "tests",
        "intake::an_unsigned_or_stale_request_causes_no_call_and_a_forged_one_a_look_for_newer_keys",
    ),
    Plant(
        "a stack that began in test mode goes on in live mode",
        "shared/domain/src/mode.rs",
        "Some(first) if first != self => Err(OtherMode { first, deployed: self }),",
        "Some(first) if first != self && first == Self::Live => Err(OtherMode { first, deployed: self }),",
        "domain", "mode::tests::a_stack_stays_in_its_first_mode",
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
        "domain", "subscription::tests::only_the_first_failure_sets_the_clock",
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
        "tests", "contract::desk::of_many_who_reopen_an_event_one_does::on_dynamodb",
    ),
    Plant(
        "sweep: a row that was noted has its turn again at once",
        "shared/domain/src/sweep.rs",
        "Some(swept_at) => swept_at <= self.swept,",
        "Some(_) => true,",
        "tests", "sweep::what_lies_undone_is_queued_the_oldest_first_and_the_next_run_leaves_it_alone",
    ),
    Plant(
        "sweep: a noted row is no condition: each of two runs at once takes it",
        "shared/aws/src/undone.rs",
        "AND (swept_at <= :swept \\",
        "AND (swept_at <= :swept OR swept_at <= :now \\",
        "tests", "contract::of_many_that_sweep_a_row_at_once_one_takes_it::on_dynamodb",
    ),
    Plant(
        "sweep: a claim is queued before its end",
        "shared/aws/src/undone.rs",
        '&["due_at", "claim_ends_at"]',
        '&["due_at"]',
        "tests", "contract::a_claim_is_swept_once_it_is_over::on_dynamodb",
    ),
    Plant(
        "sweep: a row that could not be queued stays noted",
        "functions/sweep/src/lib.rs",
        "    let _ = rows.give_back(place, &row.id, turn.now, before).await;\n",
        "",
        "tests", "sweep::a_queue_that_is_away_costs_no_row_its_turn",
    ),
    Plant(
        "reconcile: what is young is made up for while its webhook is on its way",
        "functions/reconcile/src/lib.rs",
        " && !found.is_young(now)",
        "",
        "tests", "reconcile::what_is_young_too_old_or_of_the_other_mode_is_left_alone",
    ),
    Plant(
        "simulation: an event is given to a person at the first receive",
        "functions/fulfillment/src/lib.rs",
        "        if receives < patience {\n",
        "        if receives < patience.min(1) {\n",
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Plant(
        "simulation: a mail goes to where the customer was reached once",
        "functions/receipts/src/lib.rs",
        "            (_, Some(customer_id)) => self.entitlements.contact(customer_id).await,\n",
        "            (_, Some(_)) => Ok(None),\n",
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Plant(
        "reconcile: what was dropped is made up for",
        "functions/reconcile/src/lib.rs",
        "self.dropped.contains(&subject).then_some(Look::Ended)",
        "(self.dropped.contains(&subject) && false).then_some(Look::Ended)",
        "tests", "reconcile::what_a_person_has_dropped_is_not_made_up_for",
    ),
    Plant(
        "reconcile: money that comes in parts is never asked for again",
        "functions/reconcile/src/lib.rs",
        "is_missing(found, rows) || is_asked_again(found, rows)",
        "is_missing(found, rows) || is_asked_again(found, rows) && false",
        "tests", "reconcile::money_that_comes_in_parts_releases_its_order_though_nobody_tells_of_the_last_one",
    ),
    Plant(
        "reconcile: an event's id has not the row's version, so a state that comes back is old news",
        "shared/domain/src/reconcile.rs",
        "(found.resource, &found.id, version.unwrap_or_default());",
        "(found.resource, &found.id, version.map_or(0, |_| 0));",
        "tests", "reconcile::a_state_that_comes_back_is_made_up_for_again",
    ),
    Plant(
        "feedback: an address is never marked",
        "functions/feedback/src/lib.rs",
        "if let Some(mark) = report.mark() {",
        "if let Some(mark) = report.mark().filter(|_| false) {",
        "tests", "feedback::a_hard_bounce_or_a_complaint_stops_every_later_mail_to_that_address",
    ),
    Plant(
        "feedback: an address is marked only if its receipt is known",
        "functions/feedback/src/lib.rs",
        "        if let Some(mark) = report.mark() {",
        "        if let Some(mark) = report.mark()\n"
        "            && self.receipts.receipt(&report.receipt_id).await?.is_some()\n        {",
        "tests", "feedback::a_report_of_an_unknown_receipt_is_dropped_and_its_address_remembered",
    ),
    Plant(
        "feedback: a late word that SES took a mail brings back a receipt that it has refused since",
        "shared/domain/src/receipt/feedback.rs",
        "self.sent_at.filter(|_| !self.is_refused())",
        "self.sent_at",
        "tests", "feedback::a_mail_that_ses_would_not_send_fails_its_receipt",
    ),
    Plant(
        "feedback: what is told of a mail from before a resend settles the resent one",
        "shared/domain/src/receipt/feedback.rs",
        "let current = || mails.iter().filter(|(_, fate)|",
        "let current = || mails.iter().filter(|(_, fate)| true ||",
        "tests", "feedback::what_comes_late_of_a_bounced_mail_does_not_stop_the_one_to_the_corrected_address",
    ),
    Plant(
        "access is written without the subscription that it follows from",
        "shared/domain/src/fulfillment/subscription.rs",
        "let subscription = (known != Some(&subscription) || !entitlements.is_empty())",
        "let subscription = (known != Some(&subscription))",
        "domain",
        "fulfillment::subscription::tests::access_is_never_written_by_a_subscription_that_has_changed_since_it_was_read",
    ),
    Plant(
        "simulation: a claim is taken over before its end",
        "shared/domain/src/receipt/mod.rs",
        "            if left.is_positive() {\n",
        "            if left.is_positive() && receipt.attempts == 0 {\n",
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Plant(
        "simulation: every try at a message has the same owner token, so whoever is late marks all the same",
        "shared/aws/src/batch.rs",
        'OwnerToken::new(format!("{request_id}.{message_id}"))',
        'OwnerToken::new(format!("{:.0}.{message_id}", request_id))',
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Plant(
        "simulation: a claim is given back though its mail may be out",
        "functions/receipts/src/lib.rs",
        "Err(SendError::Unknown(cause)) => Err(self.unknown(cause, attempt)),",
        "Err(SendError::Unknown(cause)) => Err(self.give_back(id, Setback::Fault(cause), attempt).await),",
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Plant(
        "simulation: a message that fails for the last time is deleted and never comes to a dead-letter queue",
        "shared/aws/src/batch.rs",
        "                    leave_alone(record, &failed, rules, delay, times.aside(clock)).await;\n",
        "                    leave_alone(record, &failed, rules, delay, times.aside(clock)).await;\n"
        "                    if failed.receives >= rules.most_receives {\n"
        "                        return Ok(None);\n                    }\n",
        "tests", "simulation::whatever_goes_wrong_nothing_is_lost_nothing_doubled_and_nothing_left_undone",
    ),
    Withheld("IntakeRole", "RecordEvents", "dynamodb:PutItem", FLOW),
    Withheld("IntakeRole", "QueueEvents", "sqs:SendMessage", FLOW),
    Withheld("FulfillmentRole", "KeepOrders", "dynamodb:PutItem", FLOW),
    Withheld("ReceiptsRole", "SendReceipts", "ses:SendRawEmail", FLOW),
    Withheld("FeedbackRole", "UpdateReceiptsAndOrders", "dynamodb:UpdateItem",
             "feedback::on_the_deployed_stack_reports_on_the_queue_settle_a_receipt_and_tell_its_order"),
    Withheld("SweepRole", "Requeue", "sqs:SendMessage",
             "sweep::what_was_stored_an_hour_ago_and_never_queued_is_processed_on_the_deployed_stack"),
    # The template lacked this permission while the local stack enforced nothing.
    Withheld("ReconcileRole", "RecordEvents", "dynamodb:GetItem",
             "reconcile::half_of_the_webhooks_of_the_deployed_stack_are_made_up_for"),
]


class Mistake(Exception):
    """The plants or their tests are not as they should be: nothing is proven."""


def unfit(plant):
    """Why a plant cannot prove anything, as far as can be told without a build; None if it may."""
    if isinstance(plant, Withheld):
        template = (PROJECT / "template.yaml").read_text()
        role = re.search(rf"^  {plant.role}:$.*?(?=^  \w+:$)", template, re.MULTILINE | re.DOTALL)
        statement = role and re.search(rf"Sid: {plant.sid}\b(?:(?!Sid:).)*", role[0], re.MULTILINE | re.DOTALL)
        if not (statement and plant.action in statement[0]):
            return f"{plant.role} has no statement {plant.sid} with {plant.action}"
        return no_such_test(plant)
    fits = (PROJECT / plant.file).read_text().count(plant.good)
    if fits != 1:
        return f"it fits {fits} places of {plant.file}"
    return no_such_test(plant)


def no_such_test(plant):
    path = plant.test
    for on in ON:
        path = path.removesuffix(on)
    module, name = path.split("::")[0], path.split("::")[-1]
    root = PROJECT / PACKAGES[plant.package][0]
    files = [root / f"{module}.rs", *(root / module).rglob("*.rs")]
    if not any(re.search(rf"\bfn {name}\(", file.read_text()) for file in files if file.is_file()):
        return f"there is no test {plant.test}"
    return None


def check(plants):
    """Says which plants do not fit. Returns how many."""
    wrong = [(plant, problem) for plant in plants if (problem := unfit(plant))]
    for plant, problem in wrong:
        print(f"  ✗ {plant.bug}\n    {problem}: mend local/planted.py")
    return len(wrong)


def make_copy():
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
            # With the present time: otherwise an earlier build with a plant would count as newer.
            shutil.copy(source, target)


def cargo(package, *more, within=None):
    """Runs cargo on a package's tests in the copy. Returns what it printed and whether all went well; None if it hung."""
    # Not the project's own: cargo tells two copies of a workspace apart by nothing that lies in a shared folder.
    target = LOCAL / "planted-target"
    process = subprocess.Popen(
        ["cargo", "test", "--locked", "--package", package, *PACKAGES[package][1], *more], cwd=COPY, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "CARGO_TARGET_DIR": str(target), "RUST_BACKTRACE": "0"},
    )
    try:
        printed = process.communicate(timeout=within)[0]
        return printed, process.returncode == 0
    except subprocess.TimeoutExpired:
        return None, False
    finally:
        # Cargo's child would continue to hang.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def build(package):
    """Builds the tests of a package, however long that takes."""
    printed, built = cargo(package, "--no-run")
    if not built:
        raise Mistake(f"{package} does not build\n{printed[-3000:]}")


def run(package, tests):
    """Runs these tests of a package. Returns what became of each, and what was printed; None if they hung."""
    printed, _ = cargo(package, "--", "--exact", *tests, within=WITHIN_SECONDS)
    if printed is None:
        return None, None
    ended = dict(re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", printed, re.MULTILINE))
    return ended, printed


def control(plants):
    """Without any plant every test must be there, and pass."""
    for package in sorted({plant.package for plant in plants}):
        tests = sorted({plant.test for plant in plants if plant.package == package})
        build(package)
        ended, printed = run(package, tests)
        wrong = tests if ended is None else [test for test in tests if ended.get(test) != "ok"]
        if wrong:
            raise Mistake(f"without a plant, these do not pass: {', '.join(wrong)}\n{(printed or '')[-3000:]}")
        print(f"  ✓ without a plant, {len(tests)} tests of {package} pass", flush=True)


@contextlib.contextmanager
def changed(plant):
    """The copy with the bug in it, for as long as the context lasts."""
    path = COPY / plant.file
    good = path.read_text()
    path.write_text(good.replace(plant.good, plant.bad))
    try:
        yield
    finally:
        path.write_text(good)


@contextlib.contextmanager
def withheld(plant):
    """The deployed role without the permission, for as long as the context lasts."""
    stack = json.loads(pathlib.Path(os.environ["STACK_FILE"]).read_text())
    endpoint = stack["endpoint"]
    role = aws.stack_resources(endpoint, stack["stack_name"])[plant.role][1]
    policies = aws.role_policies(endpoint, role)
    for name, policy in policies.items():
        reduced = copy.deepcopy(policy)
        for statement in reduced["Statement"]:
            if statement["Sid"] == plant.sid:
                statement["Action"] = [action for action in statement["Action"] if action != plant.action]
        reduced["Statement"] = [statement for statement in reduced["Statement"] if statement["Action"]]
        aws.put_role_policy(endpoint, role, name, reduced)
    try:
        yield
    finally:
        for name, policy in policies.items():
            aws.put_role_policy(endpoint, role, name, policy)


def judge(plant):
    """Plants, tests, takes the plant out again. Returns how it was caught, and what is wrong, if anything is."""
    try:
        with withheld(plant) if isinstance(plant, Withheld) else changed(plant):
            build(plant.package)
            ended, printed = run(plant.package, [plant.test])
    except Mistake as mistake:
        return None, f"mend local/planted.py: {mistake}"
    if ended is None:
        return "hangs", None
    match ended.get(plant.test):
        case "FAILED":
            return "fails", None
        case "ok":
            return None, f"NOT CAUGHT by {plant.test}"
        case _:
            return None, f"nobody knows what became of {plant.test}\n{printed[-3000:]}"


def main():
    # A polite kill cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("only", nargs="?", default="", help="plants whose description or test has this in it")
    asked.add_argument("--check", action="store_true", help="only look whether each plant fits and its test is there")
    asked = asked.parse_args()
    plants = [plant for plant in PLANTS if asked.only in plant.bug or asked.only in plant.test]
    if check(plants):
        return 1
    if asked.check:
        return 0
    make_copy()
    wrong = 0
    try:
        control(plants)
        for plant in plants:
            started = time.monotonic()
            how, problem = judge(plant)
            wrong += problem is not None
            took = f"{time.monotonic() - started:.0f} s"
            mark, what = ("✗", problem) if problem else ("✓", f"{plant.test} {how}, {took}")
            print(f"  {mark} {plant.bug}\n    {what}", flush=True)
    except Mistake as mistake:
        print(f"  ✗ {mistake}")
        return 1
    finally:
        shutil.rmtree(COPY, ignore_errors=True)
    print(f"{len(plants) - wrong} of {len(plants)} planted bugs are caught.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
