//! One level per job: the five events of one paid subscription invoice each act at their own level, in any order of
//! arrival, and nothing happens twice.

use super::{again, sample};
use domain::{
    access::{entitlement::Entitlement, subscription::Reason},
    ports::Commits as _,
    resource::Resource,
};
use kit::{
    flint_shop::{FlintShop, flint_shop},
    prelude::*,
    story::ON_HAND,
};

/// The events of the payment `pi_21` for the invoice `inv_9`, which pays for the second cycle of `sub_1`, and the same
/// events under other ids. The two events of the order have its older and its current name.
fn events_of_a_paid_invoice() -> [[Value; 5]; 2] {
    let named = [
        "payment_intent.succeeded",
        "order.payment_succeeded",
        "invoice.paid",
        "subscription.payment_succeeded",
        "balance_transaction.created",
    ];
    let events = named.map(sample);
    let mut twins = events.clone().map(|event| again(&event, "twin"));
    twins[1] = order_paid();
    [events, twins]
}

/// The event of the order under its current name.
fn order_paid() -> Value {
    let mut event = again(&sample("order.paid.subscription"), "renewal");
    event["data"]["order_id"] = json!("ord_1021");
    event["data"]["order_payment_intent_ids"] = json!(["pi_21"]);
    event
}

/// All orders of the numbers below `n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1).into_iter();
    let longer = |rest: Vec<usize>| {
        (0..n).map(move |at| {
            let mut all = rest.clone();
            all.insert(at, n - 1);
            all
        })
    };
    shorter.flat_map(longer).collect()
}

/// The rows at the end, without the counts of their writes.
#[derive(Debug, PartialEq)]
struct Rows {
    end: End,
    access: Vec<Entitlement>,
    subscription: Option<Subscription>,
    resources: Vec<Value>,
}

async fn rows(shop: &FlintShop) -> Rows {
    let customer = CustomerId::new("cus_1").unwrap();
    let subscription_id = SubscriptionId::new("sub_1").unwrap();
    let read_set = ReadSet {
        subscription: Some((customer.clone(), subscription_id)),
        entitlements: vec![(customer, ProductId::new("plan_1").unwrap())],
        ..ReadSet::default()
    };
    let world = &shop.bundle.world;
    let mut read = world.read(&read_set).await.unwrap();
    read.entitlements.iter_mut().for_each(|row| row.version = 0);
    let kept = world.kept();
    let bare = |row: &Resource| {
        let mut row = serde_json::to_value(row).unwrap();
        row["version"].take();
        row
    };
    let subscription = read
        .subscription
        .map(|row| Subscription { version: 0, ..row });
    Rows {
        end: End::of(&kept),
        access: read.entitlements,
        subscription,
        resources: kept.resources.values().map(bare).collect(),
    }
}

/// Delivers the events in this order, each of them twice and the first one again and again, then their twins. If
/// `slowly`, the queues are worked off after each delivery.
async fn delivered(
    shop: &FlintShop,
    [events, twins]: &[[Value; 5]; 2],
    order: &[usize],
    slowly: bool,
) {
    for at in order {
        for event in [&events[*at], &events[*at], &events[order[0]]] {
            assert_eq!(shop.post(event).await.reply().status, 200);
        }
        if slowly {
            shop.bundle.drain().await;
        }
    }
    for at in order {
        assert_eq!(shop.post(&twins[*at]).await.reply().status, 200);
    }
    shop.bundle.drain().await;
}

/// Every job of a paid invoice is done, at its level and once.
fn each_job_is_done_once(rows: &Rows) {
    let end = &rows.end;
    let orders: Vec<_> = end.orders.values().collect();
    let [order] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert_eq!(order.order_id.as_str(), "ord_1021");
    assert_eq!(
        (order.kind, order.state()),
        (OrderKind::Renewal, OrderState::Paid)
    );
    let moved: Vec<_> = end.movements.values().map(|moved| moved.deducted).collect();
    assert_eq!((moved, end.counters[&sku("TOTE")]), (vec![1], ON_HAND - 1));
    let mails: Vec<_> = end.mails.iter().map(ReceiptId::as_str).collect();
    assert_eq!(mails, ["ord_1021-order"]);
    let [access] = rows.access.as_slice() else {
        panic!("{:?}", rows.access)
    };
    assert_eq!(access.reason, Reason::Paid);
    assert_eq!(access.access_until.to_string(), "2026-03-20T10:00:00Z");
    assert_eq!(access.grants.len(), 1);
    let kinds: Vec<_> = rows
        .resources
        .iter()
        .map(|row| row["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["transaction", "invoice", "payment_method"].map(Some)
    );
    let states: BTreeSet<_> = end
        .events
        .values()
        .map(|(state, _)| state.to_string())
        .collect();
    assert_eq!(states, BTreeSet::from(["processed".to_owned()]));
    assert_eq!(
        (end.events.len(), end.queued, end.dead_letters.len()),
        (10, 0, 0)
    );
}

#[tokio::test]
async fn the_five_events_of_a_paid_invoice_act_once_each_in_all_orders_of_arrival() {
    let opened = flint_shop().await;
    let mut events = events_of_a_paid_invoice();
    let mut first = None;
    for (n, order) in permutations(5).iter().enumerate() {
        let [some, twins] = &mut events;
        // Either name of the order's event comes first.
        std::mem::swap(&mut some[1], &mut twins[1]);
        let shop = opened.reopened();
        delivered(&shop, &events, order, n % 4 < 2).await;
        let rows = rows(&shop).await;
        each_job_is_done_once(&rows);
        match &first {
            Some(first) => assert_eq!(rows, *first, "{order:?}"),
            None => first = Some(rows),
        }
    }
}

#[test]
fn five_events_have_120_orders_of_arrival() {
    let all = permutations(5);
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (120, 120));
}
