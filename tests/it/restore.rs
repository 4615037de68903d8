//! F33: tables are restored to an earlier point in time, over the world in memory. The events since then are replayed.
//! Reconcile recovers from the provider's lists what is not replayed.

use domain::{ports::Search, testing::Tables};
use kit::{life::Moment, prelude::*, shop, sweeping::sweep_over};
use operator::{
    events::{Bounds, replay_range},
    note::Note,
    pace::Pace,
};
use std::num::NonZeroU32;

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
    events: BTreeMap<EventId, StoredEvent>,
    others: Tables,
}

impl Copy {
    fn of(bundle: &Bundle, at: Timestamp) -> Self {
        let kept = bundle.world.kept();
        Self {
            at,
            events: kept.events.clone(),
            others: kept.tables.clone(),
        }
    }

    fn put_back(self, table: Table, bundle: &Bundle) {
        let (mut kept, then) = (bundle.world.kept(), self.others);
        match table {
            Table::Orders => kept.orders = then.orders,
            Table::Events => kept.events = self.events,
            Table::OrdersToEntitlements => {
                kept.orders = then.orders;
                (kept.counters, kept.movements) = (then.counters, then.movements);
                (kept.links, kept.references) = (then.links, then.references);
                (kept.subscription_rows, kept.entitlements) =
                    (then.subscription_rows, then.entitlements);
            }
        }
    }
}

/// A refund of a part of the `n`th purchase: one TOTE came back.
fn refund_of(n: u64) -> Delivery {
    let mut refund = sample("refund.updated")["object"]["refund"].take();
    refund["refund_id"] = json!(shop::id("fre", n));
    refund["payment_intent_id"] = purchase(n).session["payment_intents"][1].clone();
    let event_id = format!("fevt_r{n}");
    Delivery::live("refund.updated", &event_id, 1_760_200_000, refund)
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
    let life = Life::live(99);
    bundle.provider_has_life(&life);
    bundle.provider_has_invoices_of(&life);
    all.extend(life.moments.iter().map(Moment::delivery));
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
        let is_open = |state: EventState| state.is_unfinished() || state == Parked;
        let open: Vec<_> = kept
            .events
            .values()
            .filter(|event| is_open(event.state))
            .collect();
        assert!(open.is_empty(), "{open:?}");
        let access = kept.entitlements.iter();
        let access = access.map(|(key, row)| (key.clone(), row.access_until));
        Self {
            end: End::of(&kept).without_events(),
            access: access.collect(),
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
