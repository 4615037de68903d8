//! A sample of every event type, latest first and each of them twice: every event ends as it should, and the tables show
//! its effect. In memory and on the deployed stack.

use super::{again, id, sample, shown::shown};
use kit::{
    flint_shop::{FlintShop, flint_samples, flint_shop},
    prelude::*,
    stand_in::Kind,
};
use std::fs;

/// The waits of a job whose order is not there yet come to 21 s on the local stack, 85 s with its last try.
const SOON: Duration = Duration::from_mins(3);

/// Each sample with the end of its event, a thing that it changes, and what the tables show of the thing at the end.
#[rustfmt::skip]
const EFFECTS: &[(&str, EventState, &str, &str)] = &[
    ("payment_intent.succeeded", Processed, "payment pi_21", "succeeded"),
    ("payment_intent.payment_failed", Processed, "payment pi_2", "requires_payment_method"),
    ("payment_intent.requires_action", Processed, "payment pi_3", "requires_action"),
    ("payment_intent.requires_capture", Processed, "payment pi_4", "requires_capture"),
    ("payment_intent.processing", Processed, "payment pi_5", "processing"),
    ("payment_intent.canceled", Processed, "payment pi_6", "canceled"),
    ("payment_intent.fulfillment_hold.updated", Processed, "payment pi_8", "succeeded"),
    ("balance_transaction.created", Processed, "transaction#btxn_4", "pending: 2900 - 114 = 2786"),
    ("balance_transaction.updated", Processed, "transaction#btxn_1", "available: 12414 - 390 = 12024"),
    ("balance.updated", NotNeeded, "order none", "none"),
    ("refund.created", Processed, "refund ord_1011 ref_1", "succeeded"),
    ("refund.updated", Processed, "receipt ref_1-refund", "sent"),
    ("refund.failed", Processed, "refund ord_1011 ref_2", "failed"),
    ("dispute.created", Parked, "order none", "none"),
    ("dispute.needs_response", Parked, "order none", "none"),
    ("dispute.updated", Parked, "order none", "none"),
    ("dispute.won", Parked, "order none", "none"),
    ("dispute.lost", Parked, "order none", "none"),
    ("dispute.closed", Parked, "order none", "none"),
    ("dispute.prevented", Parked, "order none", "none"),
    ("dispute.warning_closed", Parked, "order none", "none"),
    ("order.created", Processed, "order ord_1002", "failed"),
    ("order.updated", Processed, "order ord_1009", "held (payment)"),
    ("order.closed", Processed, "order ord_1003", "canceled"),
    ("order.paid", Processed, "receipt ord_1001-order", "sent"),
    ("order.paid.subscription", Processed, "order ord_1020", "paid"),
    ("order.partially_paid", Processed, "order ord_1010", "partly_paid"),
    ("order.payment_authorized", Processed, "order ord_1005", "authorized"),
    ("order.payment_authorization_canceled", Processed, "order ord_1007", "failed"),
    ("order.payment_authorization_expired", Processed, "order ord_1008", "failed"),
    ("order.payment_captured", Processed, "moved ord_1011 BRACE-M", "none"),
    ("order.payment_succeeded", Processed, "order ord_1021", "paid"),
    ("order.refunded", Processed, "order ord_1011", "refunded (refund)"),
    ("order.inventory_exception.created", Processed, "order ord_1012", "held (inventory)"),
    ("order.inventory_exception.resolved", Processed, "moved ord_1013 BRACE-M", "1 out, 0 back"),
    ("order.inventory_action_required", Parked, "order ord_1014", "held (exception)"),
    ("order.reconciliation_exception.created", Parked, "order ord_1015", "held (exception)"),
    ("order.fulfillment.created", Processed, "fulfillment ord_1001 ful_1", "completed"),
    ("order.fulfillment.status_changed", Processed, "fulfillment ord_1001 ful_1", "completed"),
    ("order.fulfillment.updated", Processed, "fulfillment ord_1013 ful_2", "preparing"),
    ("order.fulfillment.completed", Processed, "fulfillment ord_1001 ful_1", "completed"),
    ("invoice.created", Processed, "invoice#inv_1", "draft: 9998"),
    ("invoice.issued", Processed, "invoice#inv_2", "open: 9998"),
    ("invoice.opened", Processed, "invoice#inv_11", "open: 9998"),
    ("invoice.issue_failed", Processed, "invoice#inv_1", "draft: 9998"),
    ("invoice.updated", Processed, "invoice#inv_1", "draft: 9998"),
    ("invoice.sent", NotNeeded, "order none", "none"),
    ("invoice.delivery_succeeded", NotNeeded, "order none", "none"),
    ("invoice.delivery_failed", NotNeeded, "order none", "none"),
    ("invoice.payment_processing", Processed, "invoice#inv_3", "open: 9998, attempt processing"),
    ("invoice.payment_failed", Processed, "invoice#inv_4", "open: 9998, attempt failed"),
    ("invoice.payment_attempt_canceled", Processed, "invoice#inv_5", "open: 9998, attempt canceled, attempt expired"),
    ("invoice.payment_attempt_expired", Processed, "invoice#inv_5", "open: 9998, attempt canceled, attempt expired"),
    ("invoice.collection_blocked", Processed, "invoice#inv_6", "open: 9998, blocked"),
    ("invoice.collection_block_resolved", Processed, "invoice#inv_7", "open: 9998"),
    ("invoice.partially_paid", Processed, "invoice#inv_8", "partially_paid: 5998"),
    ("invoice.paid", Processed, "invoice#inv_9", "paid: 0"),
    ("invoice.manual_payment_recorded", Processed, "invoice#inv_10", "paid: 0"),
    ("invoice.manual_payment_reversed", Processed, "invoice#inv_11", "open: 9998"),
    ("invoice.overdue", Processed, "invoice#inv_12", "open: 9998"),
    ("invoice.reminder_due", Processed, "invoice#inv_12", "open: 9998"),
    ("invoice.late_fee_due", Processed, "invoice#inv_12", "open: 9998"),
    ("invoice.late_fee_assessed", Processed, "invoice#inv_12", "open: 9998"),
    ("invoice.late_fee_waived", Processed, "invoice#inv_12", "open: 9998"),
    ("invoice.marked_uncollectible", Processed, "invoice#inv_13", "uncollectible: 0"),
    ("invoice.credited", Processed, "invoice#inv_14", "credited: 0"),
    ("invoice.voided", Processed, "invoice#inv_15", "void: 0"),
    ("invoice.refunded", Processed, "invoice#inv_16", "paid: 0"),
    ("invoice.partially_refunded", Processed, "invoice#inv_17", "paid: 0"),
    ("subscription.created", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.activated", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.payment_succeeded", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.payment_failed", Processed, "access cus_2 plan_2", "grace until 2026-02-27T10:06:00Z"),
    ("subscription.past_due", Processed, "access cus_2 plan_2", "grace until 2026-02-27T10:06:00Z"),
    ("subscription.paused", Processed, "access cus_2 plan_3", "paused until 1970-01-01T00:00:00Z"),
    ("subscription.resumed", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.canceled", Processed, "access cus_2 plan_4", "ended until 1970-01-01T00:00:00Z"),
    ("subscription.dunning_exhausted", Processed, "access cus_2 plan_2", "grace until 2026-02-27T10:06:00Z"),
    ("subscription.renewal_upcoming", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.trial_ending", Processed, "access cus_2 plan_5", "trial until 2026-03-06T10:00:00Z"),
    ("subscription.updated", Processed, "access cus_2 plan_6", "cancels_at_period_end until 2026-03-20T10:00:00Z"),
    ("subscription.cancellation_scheduled", Processed, "access cus_2 plan_6", "cancels_at_period_end until 2026-03-20T10:00:00Z"),
    ("subscription.reactivated", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("subscription.cycle_skipped", Processed, "access cus_1 plan_1", "paid until 2026-03-20T10:00:00Z"),
    ("payment_method.saved", Processed, "payment_method#pm_1", "active"),
    ("payment_method.failed", Processed, "payment_method#pm_2", "failed"),
    ("payment_method.removed", Processed, "payment_method#pm_3", "removed"),
    ("merchant.readiness.updated", Processed, "merchant#mer_1", "takes payments: true, payouts blocked, missing bank_account"),
    ("capability.updated", Processed, "merchant#mer_1", "takes payments: true, payouts blocked, missing bank_account"),
    ("checkout_session.completed", Processed, "checkout_session#cs_1", "Paid"),
    ("checkout_session.closed", Processed, "checkout_session#cs_2", "ClosedByMerchant"),
    ("checkout_session.expired", Processed, "checkout_session#cs_3", "Abandoned"),
    ("checkout_session.invalidated", Processed, "checkout_session#cs_4", "superseded by cs_5"),
    ("custom_domain.status_changed", NotNeeded, "order none", "none"),
    ("merchant_billing_balance.updated", NotNeeded, "order none", "none"),
];

/// More effects of the samples, each on a thing of another table.
const ALSO: &[(&str, &str)] = &[
    ("order ord_1001", "paid"),
    ("receipt ord_1002-order", "none"),
    ("charged cus_2 sub_3", "pm_3, which is removed"),
    ("charged cus_2 sub_2", "pm_4"),
    ("moved ord_1001 BRACE-M", "2 out, 0 back"),
    ("moved ord_1001 TOTE", "1 out, 0 back"),
    ("order ord_1013", "paid"),
    ("receipt ord_1009-order", "none"),
    ("receipt ord_1010-order", "none"),
    ("receipt ord_1011-order", "none"),
    ("receipt ref_2-refund", "none"),
    ("receipt ord_1012-order", "none"),
    ("receipt ord_1013-order", "sent"),
    ("receipt ord_1014-order", "none"),
    ("receipt ord_1015-order", "none"),
    ("receipt ord_1020-order", "sent"),
    ("moved ord_1020 TOTE", "1 out, 0 back"),
    ("receipt ord_1021-order", "sent"),
    ("order ord_1104", "open"),
    ("receipt inv_4-payment_failed", "sent"),
    ("receipt ful_1-shipment", "sent"),
    ("receipt ful_2-shipment", "none"),
    ("moved ord_1021 TOTE", "1 out, 0 back"),
];

/// The samples, the latest first.
fn latest_first() -> Vec<Value> {
    let mut all: Vec<Value> = EFFECTS.iter().map(|(name, ..)| sample(name)).collect();
    all.sort_by_key(|event| std::cmp::Reverse(event["created_at"].as_str().unwrap().to_owned()));
    all
}

/// A thing of the seed.
fn seeded(kind: &str, member: &str, id: &Value) -> Value {
    let seed = fs::read_to_string(flint_samples().join("stand-in.json")).unwrap();
    let mut seed: Value = serde_json::from_str(&seed).unwrap();
    let Value::Array(things) = seed["test"][kind].take() else {
        panic!("{kind}")
    };
    let mut things = things.into_iter();
    things.find(|thing| thing[member] == *id).unwrap()
}

/// The beginning of the order that the sample `order.closed` ends: the order while it was open, its creation, and the
/// order at the end.
fn open_order() -> (Value, Value, Value) {
    let closed = sample("order.closed");
    let end = seeded("orders", "order_id", &closed["data"]["order_id"]);
    let mut order = end.clone();
    order["status"] = json!("open");
    order["updated_at"] = order["created_at"].clone();
    let mut event = again(&closed, "opened");
    event["event_type"] = json!("order.created");
    event["data"] = json!({"order_id": order["order_id"]});
    (order, event, end)
}

/// The creation of the order of the invoice whose payment fails. It comes first: without an order, there is no mail.
fn invoiced() -> Value {
    let failed = sample("invoice.payment_failed");
    let invoice = seeded("invoices", "invoice_id", &failed["data"]["invoice_id"]);
    let mut event = again(&failed, "invoiced");
    event["event_type"] = json!("order.created");
    event["data"] = json!({"order_id": invoice["order_id"]});
    event
}

/// All things with what the tables show of them at the end.
fn effects() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = EFFECTS
        .iter()
        .map(|(_, _, subject, shown)| (*subject, *shown));
    own.chain(ALSO.iter().copied())
}

#[test]
fn every_sample_has_an_effect() {
    let files = fs::read_dir(flint_samples()).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let names = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let mut names: BTreeSet<String> = names.collect();
    names.remove("stand-in");
    let listed = EFFECTS.iter().map(|(name, ..)| (*name).to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), names);
}

/// A shop that received every sample twice, the latest first, and worked off its queues.
pub(crate) async fn shop_after_all() -> FlintShop {
    let mut shop = flint_shop().await;
    // As on the local stack.
    let policy = &mut shop.bundle.fulfillment.policy;
    policy.grace = SignedDuration::from_hours(7 * 24);
    policy.payment_failed_mail = true;
    policy.shipment_mail = true;
    let (open, opened, closed) = open_order();
    shop.has(Kind::Orders, open);
    for first in [opened, invoiced()] {
        assert_eq!(shop.post(&first).await.reply().status, 200);
    }
    shop.bundle.drain().await;
    shop.has(Kind::Orders, closed);
    for event in latest_first().iter().chain(&latest_first()) {
        assert_eq!(shop.post(event).await.reply().status, 200, "{event}");
    }
    shop.bundle.drain().await;
    shop
}

#[tokio::test]
async fn a_sample_of_every_event_type_has_its_effect() {
    let shop = shop_after_all().await;
    let mut wrong = Vec::new();
    for (name, state, ..) in EFFECTS {
        let row = shop.event(id(&sample(name)));
        if row.state != *state {
            wrong.push(format!("{name}: {} {:?}", row.state, row.reason));
        }
    }
    for (subject, expected) in effects() {
        let shown = shown(&shop.bundle.world, subject).await;
        if shown != expected {
            wrong.push(format!("{subject}: {shown}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_sample_of_every_event_type_has_its_effect_on_the_deployed_stack() {
    let play = play().await;
    for sku in ["BRACE-M", "TOTE"] {
        let levels = &play.tables.stock_levels;
        levels
            .put_counter(&kit::story::sku(sku), 100)
            .await
            .unwrap();
    }
    let (open, opened, closed) = open_order();
    play.flint_knows("orders", &open).await.unwrap();
    for first in [opened, invoiced()] {
        play.takes_of_flint(&first).await;
        let created = play.until_event(id(&first), Processed, SOON).await;
        created.unwrap();
    }
    play.flint_knows("orders", &closed).await.unwrap();
    for event in latest_first().iter().chain(&latest_first()) {
        play.takes_of_flint(event).await;
    }
    for (name, state, ..) in EFFECTS {
        let event_id = id(&sample(name)).to_owned();
        if let Err(why) = play.until_event(&event_id, *state, SOON).await {
            let row = play.event(&event_id).await.unwrap();
            panic!(
                "{name}: {why}; {:?}",
                row.map(|row| (row.state, row.reason))
            );
        }
    }
    play.until_idle(SOON).await.unwrap();
    for (subject, expected) in effects() {
        let what = format!("{subject}: {expected}");
        let look = async || {
            let shown = shown(&play.tables.store, subject).await;
            Ok((shown == expected).then_some(()))
        };
        if until(&what, SOON, look).await.is_err() {
            let shown = shown(&play.tables.store, subject).await;
            panic!("{what}: the tables show {shown}");
        }
    }
}
