//! F33: tables are restored to an earlier point in time, over the world in memory. The events since then are replayed.
//! Reconcile recovers from the provider's lists what is not replayed.

use domain::{
    access::{entitlement::Entitlement, subscription::Subscription},
    delivery::stored_event::EventState,
    ports::{Clock as _, Search},
    receipt::OnUnknown,
    sale::{
        merchant_reference::MerchantReference, order::Order, payment::Link, restock::RestockPolicy,
        stock::Movement,
    },
    values::{
        facts::Fact,
        ids::{CustomerId, EventId, OrderId, PaymentIntentId, ProductId, Sku, SubscriptionId},
    },
};
use jiff::{SignedDuration, Timestamp};
use kit::{
    drive::Bundle,
    life::Life,
    shop::{self, sample},
    story::{Delivery, End, open_shop, purchase, sale},
    sweeping::sweep_over,
};
use operator::{
    events::{Bounds, replay_range},
    note::Note,
    pace::Pace,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

/// Which table is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Orders,
    Events,
    /// Orders, Links, Stock and Entitlements. Events and Receipts stay as they are.
    OrdersToEntitlements,
}

/// The contents of the tables at some point.
struct Copy {
    at: Timestamp,
    events: BTreeMap<EventId, domain::delivery::stored_event::StoredEvent>,
    orders: BTreeMap<OrderId, Order>,
    counters: BTreeMap<Sku, i64>,
    movements: BTreeMap<(Sku, OrderId), Movement>,
    links: BTreeMap<PaymentIntentId, Link>,
    references: BTreeMap<String, MerchantReference>,
    subscriptions: BTreeMap<(CustomerId, SubscriptionId), Subscription>,
    entitlements: BTreeMap<(CustomerId, ProductId), Entitlement>,
}

impl Copy {
    fn of(bundle: &Bundle, at: Timestamp) -> Self {
        let kept = bundle.world.kept();
        Self {
            at,
            events: kept.events.clone(),
            orders: kept.orders.clone(),
            counters: kept.counters.clone(),
            movements: kept.movements.clone(),
            links: kept.links.clone(),
            references: kept.references.clone(),
            subscriptions: kept.subscription_rows.clone(),
            entitlements: kept.entitlements.clone(),
        }
    }

    fn put_back(self, table: Table, bundle: &Bundle) {
        let mut kept = bundle.world.kept();
        match table {
            Table::Orders => kept.orders = self.orders,
            Table::Events => kept.events = self.events,
            Table::OrdersToEntitlements => {
                kept.orders = self.orders;
                (kept.counters, kept.movements) = (self.counters, self.movements);
                (kept.links, kept.references) = (self.links, self.references);
                (kept.subscription_rows, kept.entitlements) =
                    (self.subscriptions, self.entitlements);
            }
        }
    }
}

fn facts(kind: &str, event_id: &str, at: i64, name: &str, resource: &Value) -> Delivery {
    let mut resource = resource.clone();
    resource["test_mode"] = json!(false);
    let body = String::from_utf8(shop::event(kind, event_id, at, name, &resource)).unwrap();
    Delivery {
        id: format!("msg_{event_id}"),
        body,
    }
}

/// A refund of a part of the `n`th purchase: one TOTE came back.
fn refund_of(n: u64) -> Delivery {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(shop::id("fre", n));
    refund["payment_intent_id"] = purchase(n).session["payment_intents"][1].clone();
    facts(
        "refund.updated",
        &format!("fevt_r{n}"),
        1_760_200_000,
        "refund",
        &refund,
    )
}

/// A shop with all its events. It has sold out of one thing by its last sale, and has taken a thing back. It has a
/// subscriber with receipts for renewals and a notice of a failed payment.
fn season(on_unknown: OnUnknown) -> (Bundle, Vec<Delivery>) {
    let mut bundle = open_shop(on_unknown);
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    bundle.fulfillment.policy.payment_failed_mail = true;
    let mut all = Vec::new();
    for n in 1..=6 {
        bundle.provider_has(&sale(&purchase(n)));
        all.push(Delivery::of(&purchase(n), &format!("fevt_{n}")));
    }
    let mut life = Life::of(99);
    life.purchase.session["test_mode"] = json!(false);
    bundle.provider_has(&sale(&life.purchase));
    let mut subscription = life.subscription.clone();
    subscription["test_mode"] = json!(false);
    bundle.provider_has_subscription(&subscription);
    bundle.provider_has_invoices_of(&life);
    for moment in &life.moments {
        let mut event: Value = serde_json::from_slice(&moment.body).unwrap();
        for resource in event["object"].as_object_mut().unwrap().values_mut() {
            resource["test_mode"] = json!(false);
        }
        all.push(Delivery {
            id: format!("msg_{}", moment.event_id),
            body: event.to_string(),
        });
    }
    all.extend([refund_of(2), refund_of(5)]);
    (bundle, all)
}

/// Delivers and handles all events. A copy of the tables is taken after `until` deliveries, before the last of them is
/// handled.
async fn lived(bundle: &Bundle, all: &[Delivery], until: usize) -> Copy {
    let mut copy = None;
    for (n, delivery) in all.iter().enumerate() {
        let at = bundle.world.now();
        bundle.deliver(delivery, false).await;
        if n == until {
            copy = Some(Copy::of(bundle, at));
        }
        bundle.drain().await;
        bundle.world.pass(Duration::from_hours(1));
    }
    copy.unwrap()
}

/// Whatever does not depend on when it was written, or by which event.
#[derive(Debug, Clone, PartialEq)]
struct Essence {
    end: End,
    access: BTreeMap<(CustomerId, ProductId), Timestamp>,
}

impl Essence {
    fn of(bundle: &Bundle) -> Self {
        let kept = bundle.world.kept();
        let is_open = |state: EventState| state.is_unfinished() || state == EventState::Parked;
        let open: Vec<_> = kept
            .events
            .values()
            .filter(|event| is_open(event.state))
            .collect();
        assert!(open.is_empty(), "{open:?}");
        let mut end = End::of(&kept);
        end.events.clear();
        for order in end.orders.values_mut() {
            order.placed_at = Timestamp::UNIX_EPOCH;
            for refund in order.refunds.values_mut() {
                refund.facts = Fact::new(Timestamp::UNIX_EPOCH, refund.facts.value.clone());
            }
        }
        let until = |row: &Entitlement| row.access_until;
        Self {
            end,
            access: kept
                .entitlements
                .iter()
                .map(|(key, row)| (key.clone(), until(row)))
                .collect(),
        }
    }
}

/// The repair of `docs/operations.md`: replay the events since then, twice, because goods go back only once they are out;
/// then let sweep and reconcile run.
async fn recover(bundle: &Bundle, since: Timestamp) {
    let world = &bundle.world;
    for _ in 0..2 {
        let before = world.now() + SignedDuration::from_hours(1);
        let search = Search {
            event_type: None,
            since,
            before,
        };
        let bounds = Bounds {
            dry_run: false,
            parked: false,
            events: 10_000,
            pages: 10_000,
            after: None,
        };
        let note = Note::new("ops", "a table was restored", world.now()).unwrap();
        let mut pace = Pace::per_second(NonZeroU32::new(1_000_000).unwrap());
        let replayed = replay_range(world, world, &search, &bounds, &mut pace, &note).await;
        assert!(replayed.complete, "{replayed}");
        bundle.drain().await;
    }
    rerun(bundle).await;
}

async fn rerun(bundle: &Bundle) {
    for _ in 0..2 {
        bundle.world.pass(Duration::from_hours(3));
        sweep_over(&bundle.world).run().await.unwrap();
        bundle.drain().await;
        bundle.reconcile(365).await.unwrap().unwrap();
        bundle.drain().await;
    }
}

/// Plays the season, puts a table back to each point of it, and recovers. Gives what was so before and after.
async fn restored(table: Table, on_unknown: OnUnknown) -> Vec<(Essence, Essence, usize)> {
    let count = season(on_unknown).1.len();
    let mut ends = Vec::new();
    for until in 0..count {
        let (bundle, all) = season(on_unknown);
        let copy = lived(&bundle, &all, until).await;
        bundle
            .world
            .pass_until("2026-04-20T00:00:00Z".parse().unwrap());
        let (before, since) = (Essence::of(&bundle), copy.at);
        assert_eq!(
            (before.end.orders.len(), before.end.mails.len()),
            (9, 9 + 3)
        );
        copy.put_back(table, &bundle);
        recover(&bundle, since).await;
        ends.push((before, Essence::of(&bundle), until));
    }
    ends
}

#[tokio::test]
async fn orders_alone_are_written_again_and_nobody_is_mailed_or_served_twice() {
    for (before, after, until) in restored(Table::Orders, OnUnknown::Resend).await {
        assert_eq!(after, before, "restored to delivery {until}");
    }
}

#[tokio::test]
async fn orders_alone_are_made_up_for_where_nobody_replays() {
    let (bundle, all) = season(OnUnknown::Resend);
    let copy = lived(&bundle, &all, 0).await;
    bundle
        .world
        .pass_until("2026-04-20T00:00:00Z".parse().unwrap());
    let before = Essence::of(&bundle);
    copy.put_back(Table::Orders, &bundle);
    rerun(&bundle).await;
    let after = Essence::of(&bundle);
    assert_eq!(
        after.end.orders.keys().collect::<Vec<_>>(),
        before.end.orders.keys().collect::<Vec<_>>()
    );
    assert_eq!(
        (after.end.mails, after.end.movements),
        (before.end.mails, before.end.movements)
    );
    assert_eq!(after.end.counters, before.end.counters);
}

#[tokio::test]
async fn events_alone_are_found_done() {
    for (before, after, until) in restored(Table::Events, OnUnknown::Resend).await {
        assert_eq!(after, before, "restored to delivery {until}");
    }
}

#[tokio::test]
async fn orders_to_entitlements_together_are_written_again_and_nobody_is_mailed_twice() {
    for (before, after, until) in restored(Table::OrdersToEntitlements, OnUnknown::Resend).await {
        assert_eq!(after, before, "restored to delivery {until}");
    }
}
