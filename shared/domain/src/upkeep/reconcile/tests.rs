use super::*;
use crate::{
    access::subscription::InvoiceEvent,
    delivery::reference::Reference,
    fulfillment::testing::{
        DAY, End, NOW, SALE, Shop, at, bill, completed, dispute_news, facts, id, invoice_change,
        item, line, order_id, paid as payment_facts, payment_change, refund_facts, refund_news,
        refunded, sale, snapshot, subscription_change,
    },
    sale::{dispute::DisputeStage, statement::SaleStatus},
    values::ids::OrderId,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// All the money of a sale.
const ALL: Received = Received {
    amount: 5000,
    is_all: true,
};
/// A part of it.
const PART: Received = Received {
    amount: 3000,
    is_all: false,
};

/// A listed thing with this change.
fn found(change: Change) -> Found {
    let (resource, id) = match &change {
        Change::Sale { order_id, .. } => ("checkout_session", order_id.to_string()),
        Change::Refund(change) => ("refund", change.refund_id.to_string()),
        Change::Invoice(change) => ("invoice", change.invoice_id.to_string()),
        Change::Subscription(change) => ("subscription", change.subscription_id.to_string()),
        Change::Dispute(change) => ("dispute", change.dispute_id.to_string()),
        Change::Payment(change) => ("payment_intent", change.payment_intent_id.to_string()),
        other => panic!("nobody lists {other:?}"),
    };
    Found {
        resource,
        id,
        event_id: None,
        mode: None,
        created_at: None,
        is_recent: true,
        since: None,
        stamp: None,
        received: Some(ALL),
        marks: None,
        event_type: "",
        object: Vec::new(),
        change,
    }
}

/// The rows that it is compared with, as the function reads them.
fn rows(shop: &Shop, found: &Found) -> Snapshot {
    let rows = shop.tables.read(&read_set(&found.change));
    let order = order_to_read(&found.change, &rows);
    rows.and(shop.tables.read(&ReadSet {
        order,
        ..ReadSet::default()
    }))
}

#[test]
fn a_refund_and_a_subscription_of_another_shop_are_not_missing() {
    let mut shop = Shop::selling(sale(vec![line("mat", 1, 3000, None)]));
    let change = refund_news("fre_1", refund_facts("fpi_1", "succeeded", 3000));
    let refund = found(Change::Refund(change));
    let subscription = found(subscription_change(
        "fsub_1",
        snapshot("active", SALE + DAY),
    ));
    assert!(missing(&shop, &refund) && missing(&shop, &subscription));
    let sale = shop.api.sales.values_mut().next().unwrap();
    sale.subscription_id = Some(id("fsub_1"));
    shop.policy.shop.origin = Some("ours".to_owned());
    shop.tell(SALE, completed());
    assert!(!missing(&shop, &refund) && !missing(&shop, &subscription));
}

fn missing(shop: &Shop, found: &Found) -> bool {
    is_missing(found, &rows(shop, found))
}

/// Recovers it like the function, with a read of the provider at that second.
fn make_up(shop: &mut Shop, found: &Found, read_at: i64) -> End {
    let rows = rows(shop, found);
    let mut event = facts("fevt_0", 0, found.change.clone());
    event.event_id = event_id(found, &rows, at(read_at));
    event.occurred_at = Some(stated_at(found, &rows, at(read_at)));
    shop.deliver(&event)
}

fn sold() -> Shop {
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    shop
}

fn paid(invoice: &str, month: i64) -> Change {
    let period = (SALE + month * 30 * DAY, SALE + (month + 1) * 30 * DAY);
    invoice_change(
        "fsub_1",
        invoice,
        InvoiceEvent::Paid,
        bill(InvoiceEvent::Paid, 2000, period),
    )
}

fn subscribed(status: &str) -> Change {
    subscription_change("fsub_1", snapshot(status, SALE + 30 * DAY))
}

fn deleted() -> Change {
    let over = SubscriptionFacts {
        source: Source::Deleted,
        ..snapshot("canceled", SALE + 30 * DAY)
    };
    subscription_change("fsub_1", over)
}

#[test]
fn a_paid_checkout_is_missing_until_it_is_fulfilled() {
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
    let found = Found {
        since: Some(at(SALE - 100)),
        ..found(completed())
    };
    assert!(missing(&shop, &found));
    assert_eq!(make_up(&mut shop, &found, NOW), End::Done);
    assert!(!missing(&shop, &found));
    assert_eq!(
        shop.order().placed_at,
        at(SALE - 100),
        "dated by the sale, and not by the run"
    );
}

#[test]
fn an_order_that_waits_for_money_misses_nothing_until_the_money_is_told_to_be_here() {
    let mut shop = sold();
    let order = shop.tables.orders.get_mut(&order_id()).unwrap();
    order.fulfilled_at = None;
    for nothing in [
        None,
        Some(Received {
            amount: 0,
            is_all: false,
        }),
    ] {
        let waits = Found {
            received: nothing,
            ..found(completed())
        };
        assert!(!missing(&shop, &waits) && !is_asked_again(&waits, &rows(&shop, &waits)));
    }
    assert!(missing(&shop, &found(completed())));
    let changed = Change::Sale {
        order_id: order_id(),
        completed: false,
    };
    assert!(!missing(&shop, &found(changed)));
    let unknown = Change::Sale {
        order_id: OrderId::new("fcs_9").unwrap(),
        completed: true,
    };
    assert!(
        missing(
            &shop,
            &Found {
                received: None,
                ..found(unknown)
            }
        ),
        "an order that waits is an order"
    );
}

#[test]
fn a_part_of_the_money_is_missing_until_the_order_knows_of_it_and_asked_for_once_a_day_from_then_on()
 {
    let mut shop = sold();
    let part = Found {
        received: Some(PART),
        ..found(completed())
    };
    assert!(found(completed()).is_paid() && !part.is_paid());
    let is_asked_again = |shop: &Shop| is_asked_again(&part, &rows(shop, &part));
    assert!(
        !missing(&shop, &part) && !is_asked_again(&shop),
        "what is fulfilled waits for nothing"
    );
    let mut wait = |received| {
        let order = shop.tables.orders.get_mut(&order_id()).unwrap();
        (order.fulfilled_at, order.received) = (None, received);
        order.capture = crate::sale::statement::Capture::Manual;
        (missing(&shop, &part), is_asked_again(&shop))
    };
    assert_eq!(wait(None), (true, false));
    assert_eq!(wait(Some(2999)), (true, false));
    assert_eq!(wait(Some(3000)), (false, true));
    assert_eq!(wait(Some(3001)), (false, true), "the list is behind");
    let id = |received, read_at| {
        let found = Found {
            received: Some(received),
            ..found(completed())
        };
        event_id(&found, &rows(&shop, &found), at(read_at)).to_string()
    };
    assert_eq!(id(ALL, NOW), id(ALL, NOW + DAY));
    assert_eq!(
        id(ALL, NOW),
        "reconciled:checkout_session:fcs_1:complete-5000:1"
    );
    assert_eq!(id(PART, NOW), id(PART, NOW + 60));
    let days: BTreeSet<String> = (0..3).map(|day| id(PART, NOW + day * DAY)).collect();
    assert_eq!(days.len(), 3, "{days:?}");
}

#[test]
fn a_refund_is_missing_until_its_order_has_it_as_it_is() {
    let mut shop = sold();
    let succeeded = found(refunded("fre_1", "succeeded", 1000));
    assert!(missing(&Shop::new(), &succeeded), "its order is unknown");
    assert!(missing(&shop, &succeeded));
    shop.tell(SALE + 5, refunded("fre_1", "pending", 1000));
    assert!(missing(&shop, &succeeded));
    make_up(&mut shop, &succeeded, SALE + 60);
    assert!(!missing(&shop, &succeeded));
    assert_eq!(shop.receipts(), ["fcs_1-order", "fre_1-refund"]);
    // A late event with its earlier state changes nothing.
    shop.tell(SALE + 6, refunded("fre_1", "pending", 1000));
    assert!(!missing(&shop, &succeeded));
    assert!(missing(&shop, &found(refunded("fre_1", "failed", 1000))));
    assert!(!missing(
        &shop,
        &found(refunded("fre_1", "a_new_word", 1000))
    ));
}

#[test]
fn what_is_read_replaces_what_a_clock_ahead_of_ours_has_announced() {
    let mut shop = sold();
    shop.tell(NOW + 50, refunded("fre_1", "pending", 1000));
    shop.tell(NOW + 50, subscribed("active"));
    for change in [refunded("fre_1", "succeeded", 1000), subscribed("past_due")] {
        let found = found(change);
        assert!(missing(&shop, &found));
        make_up(&mut shop, &found, NOW);
        assert!(!missing(&shop, &found), "{found:?}");
    }
}

#[test]
fn a_paid_invoice_is_missing_until_its_subscription_has_it_as_paid() {
    let mut shop = sold();
    let renewal = Found {
        since: Some(at(SALE + 30 * DAY)),
        ..found(paid("fin_2", 1))
    };
    assert!(missing(&shop, &renewal));
    // The event of its first failure arrived.
    let period = (SALE + 30 * DAY, SALE + 60 * DAY);
    let failed = bill(InvoiceEvent::PaymentFailed, 2000, period);
    shop.tell(
        SALE + 31 * DAY,
        invoice_change("fsub_1", "fin_2", InvoiceEvent::PaymentFailed, failed),
    );
    assert!(missing(&shop, &renewal));
    let stated_at = stated_at(&renewal, &rows(&shop, &renewal), at(SALE + 33 * DAY));
    assert_eq!(
        stated_at,
        at(SALE + 31 * DAY + 1),
        "after the payment that failed"
    );
    make_up(&mut shop, &renewal, SALE + 33 * DAY);
    assert!(!missing(&shop, &renewal));
    let invoice = &shop.subscription("fsub_1").invoices[&id::<InvoiceId>("fin_2")];
    assert_eq!(
        invoice.bill.value.amount_paid,
        Some(2000),
        "what it said when it failed does not count"
    );
}

#[test]
fn an_invoice_that_newer_ones_have_pushed_off_the_row_is_not_missing() {
    let mut shop = sold();
    for month in 1..=i64::try_from(MOST_INVOICES).unwrap() + 2 {
        shop.tell(
            SALE + month * 30 * DAY,
            paid(&format!("fin_{month:03}"), month),
        );
    }
    for month in [1, 2, 3, 26] {
        assert!(
            !missing(&shop, &found(paid(&format!("fin_{month:03}"), month))),
            "{month}"
        );
    }
    assert!(missing(&shop, &found(paid("fin_027", 27))));
    assert!(
        missing(&shop, &found(paid("fin_other", 20))),
        "not so old that it could have been pushed off"
    );
}

#[test]
fn a_subscription_is_missing_while_what_matters_of_it_differs() {
    let mut shop = sold();
    let facts = found(subscribed("active"));
    assert!(missing(&shop, &facts));
    make_up(&mut shop, &facts, SALE + 60);
    assert!(!missing(&shop, &facts));
    assert_eq!(shop.access("fprod_gym").access_until, at(SALE + 30 * DAY));
    let with = |change: &dyn Fn(&mut SubscriptionFacts)| {
        let mut facts = snapshot("active", SALE + 30 * DAY);
        change(&mut facts);
        found(subscription_change("fsub_1", facts))
    };
    for other in [
        with(&|facts| facts.status = "past_due".into()),
        with(&|facts| facts.cancel_at_period_end = true),
        with(&|facts| facts.period_end = Some(at(SALE + 60 * DAY))),
        with(&|facts| facts.trial_end = Some(at(SALE + 5 * DAY))),
        with(&|facts| facts.items = vec![item("fprod_pool")]),
        with(&|facts| facts.items.push(item("fprod_pool"))),
        with(&|facts| facts.items[0].quantity = 2),
        with(&|facts| facts.items[0].product_id = Some(id("fprod_pool"))),
        with(&|facts| facts.items[0].price_id = Some(id("fprice_other"))),
    ] {
        assert!(missing(&shop, &other), "{other:?}");
    }
    for same in [
        with(&|facts| facts.latest_invoice = Some(id("fin_9"))),
        with(&|facts| facts.source = Source::Read),
        // A list may show less than an event.
        with(&|facts| facts.items[0].product_id = None),
        with(&|facts| facts.period_end = None),
        with(&|facts| facts.status = "a_new_word".into()),
    ] {
        assert!(!missing(&shop, &same), "{same:?}");
    }
}

#[test]
fn one_word_that_we_do_not_know_is_not_another() {
    let mut shop = sold();
    shop.tell(SALE + 60, subscribed("a_new_word"));
    assert!(missing(&shop, &found(subscribed("another_new_word"))));
    assert!(!missing(&shop, &found(subscribed("a_new_word"))));
}

#[test]
fn a_list_that_was_read_before_newer_news_of_the_same_thing_is_behind() {
    let mut shop = sold();
    shop.tell(SALE + 100, refunded("fre_1", "pending", 1000));
    shop.tell(SALE + 100, subscribed("active"));
    for change in [refunded("fre_1", "succeeded", 1000), subscribed("past_due")] {
        let found = found(change);
        let rows = rows(&shop, &found);
        let behind = |read_at: i64, now: i64| is_overtaken(&found, &rows, at(read_at), at(now));
        assert_eq!(
            [99, 100, 101].map(|read_at| behind(SALE + read_at, NOW)),
            [true, false, false]
        );
        // The clock of the event is fast.
        assert_eq!(
            [99, 100].map(|now| behind(SALE + 50, SALE + now)),
            [false, true]
        );
    }
    let sale = found(completed());
    assert!(!is_overtaken(
        &sale,
        &rows(&shop, &sale),
        at(SALE - 100),
        at(NOW)
    ));
}

#[test]
fn a_paid_renewal_is_missing_until_its_order_is_there() {
    let mut shop = sold();
    shop.tell(SALE + 60, subscribed("active"));
    shop.tell(SALE + 61, paid("fin_2", 1));
    let renewal = found(paid("fin_2", 1));
    assert!(!missing(&shop, &renewal), "its place is not known yet");
    let name: crate::values::ids::SubscriptionId = id("fsub_1");
    let key = (id("fcus_1"), name.clone());
    let known = shop.tables.subscription_rows.get_mut(&key).unwrap();
    known.born_with = Some(id("fin_2"));
    assert!(!missing(&shop, &renewal), "the first order is its order");
    let known = shop.tables.subscription_rows.get_mut(&key).unwrap();
    known.born_with = Some(id("fin_1"));
    assert!(missing(&shop, &renewal));
    let facts = snapshot("active", SALE + 60 * DAY);
    shop.api.subscriptions.insert(name, facts);
    assert_eq!(make_up(&mut shop, &renewal, SALE + 62 * DAY), End::Done);
    assert!(!missing(&shop, &renewal));
    assert!(shop.tables.orders.contains_key(&id("fin_2")));
}

#[test]
fn the_end_of_a_subscription_is_missing_until_it_has_ended_here() {
    let mut shop = sold();
    shop.tell(SALE + DAY, subscribed("active"));
    let over = Found {
        since: Some(at(SALE + 2 * DAY)),
        ..found(deleted())
    };
    assert!(missing(&Shop::new(), &over));
    assert!(missing(&shop, &over));
    // The API stated it, but not as its end.
    shop.tell(SALE + 3 * DAY, subscribed("canceled"));
    assert!(missing(&shop, &over));
    make_up(&mut shop, &over, SALE + 4 * DAY);
    assert!(!missing(&shop, &over));
    assert_eq!(
        shop.subscription("fsub_1").ended_at,
        Some(at(SALE + 2 * DAY)),
        "when the provider says"
    );
}

#[test]
fn what_never_began_is_not_missing() {
    for status in ["incomplete", "incomplete_expired"] {
        assert!(!missing(&sold(), &found(subscribed(status))), "{status}");
    }
}

#[test]
fn the_same_gap_has_the_same_id_and_one_that_opens_again_another() {
    let mut shop = sold();
    let of = |shop: &Shop, status: &str| {
        let found = found(subscribed(status));
        event_id(&found, &rows(shop, &found), at(NOW))
    };
    let first = of(&shop, "active");
    assert_eq!(first, of(&shop, "active"));
    assert!(
        first
            .as_str()
            .starts_with("reconciled:subscription:fsub_1:active-"),
        "{first}"
    );
    shop.tell(SALE + 1, subscribed("active"));
    shop.tell(SALE + 2, subscribed("past_due"));
    assert_ne!(first, of(&shop, "active"));
    let order = found(completed());
    let id = event_id(&order, &Snapshot::default(), at(NOW));
    assert_eq!(id.as_str(), "reconciled:checkout_session:fcs_1:complete:0");
}

#[test]
fn whatever_the_provider_calls_things_the_event_has_an_id() {
    let long = Found {
        id: "f".repeat(255),
        ..found(refunded("fre_1", "succeeded", 1))
    };
    let odd = found(refunded("fre_1", "two words", 1));
    for found in [long, odd] {
        let id = event_id(&found, &Snapshot::default(), at(NOW));
        assert!(
            id.as_str().starts_with("reconciled:") && id.as_str().len() <= 255,
            "{id}"
        );
    }
}

#[test]
fn what_is_young_is_left_to_its_webhook() {
    let now = at(NOW);
    let made = |created: Option<i64>, since: Option<i64>| Found {
        created_at: created.map(at),
        since: since.map(at),
        ..found(completed())
    };
    assert!(made(Some(NOW - 14 * 60), None).is_young(now));
    assert!(!made(Some(NOW - 15 * 60), None).is_young(now));
    assert!(
        made(Some(NOW - DAY), Some(NOW - 5)).is_young(now),
        "it has just become so"
    );
    assert!(!made(Some(NOW - DAY), None).is_young(now));
    assert!(!made(None, None).is_young(now), "of unknown age is old");
}

#[test]
fn a_dispute_is_missing_until_its_order_has_it_in_this_state() {
    let of = |status: &str| found(Change::Dispute(dispute_news("fdsp_1", status, None)));
    let mut shop = sold();
    for status in ["needs_response", "under_review", "lost"] {
        let found = of(status);
        assert!(missing(&shop, &found), "{status}");
        assert_eq!(make_up(&mut shop, &found, NOW), End::Done);
        assert!(!missing(&shop, &found), "{status}");
    }
    assert!(shop.order().disputes[&id("fdsp_1")].stage() == DisputeStage::Lost);
    assert!(
        !missing(&shop, &of("a word of next year")),
        "it says no more than what is known"
    );
    // Before this stack, and of another shop.
    assert!(missing(&Shop::new(), &of("lost")));
    let old = Found {
        is_recent: false,
        ..of("lost")
    };
    assert!(!missing(&Shop::new(), &old) && !goes_on(&old.change, &Snapshot::default()));
}

#[test]
fn a_payment_without_an_order_leads_to_its_checkout_or_to_a_person() {
    let payment = || {
        found(payment_change(
            "fpi_1",
            Some(payment_facts("succeeded", 5000)),
        ))
    };
    let young = |age: i64| Found {
        created_at: Some(at(NOW - age)),
        ..payment()
    };
    assert!(young(3_599).is_young(at(NOW)) && !young(3_600).is_young(at(NOW)));
    assert!(!missing(&sold(), &payment()));

    // The sale is complete, and no event has said so: the provider's answer makes the order.
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
    assert!(missing(&shop, &payment()));
    assert_eq!(make_up(&mut shop, &payment(), NOW), End::Done);
    assert!(shop.order().fulfilled_at.is_some() && !missing(&shop, &payment()));

    // The sale is not complete, or is unknown.
    let mut open = sale(vec![line("brace", 1, 5000, Some("BRACE"))]);
    open.status = SaleStatus::Open;
    for mut shop in [Shop::selling(open), Shop::new()] {
        let end = make_up(&mut shop, &payment(), NOW);
        assert!(matches!(end, End::Parked(_) | End::Waits(_)), "{end:?}");
        assert!(shop.tables.orders.is_empty() && missing(&shop, &payment()));
    }
}

/// The end states of a provider's things, one of each kind.
fn ends() -> impl Strategy<Value = Vec<Found>> {
    let refund = prop::sample::select(vec![
        "pending",
        "succeeded",
        "failed",
        "canceled",
        "a_new_word",
    ]);
    let status = prop::sample::select(vec![
        "trialing",
        "active",
        "past_due",
        "unpaid",
        "paused",
        "a_new_word",
    ]);
    (refund, status, any::<bool>(), any::<bool>(), 0_i64..3).prop_map(
        |(refund, status, cancels, over, month)| {
            let mut facts = snapshot(status, SALE + (month + 1) * 30 * DAY);
            facts.cancel_at_period_end = cancels;
            let subscription = if over {
                deleted()
            } else {
                subscription_change("fsub_1", facts)
            };
            let mut all = vec![
                Found {
                    since: Some(at(SALE - 100)),
                    ..found(completed())
                },
                found(refunded("fre_1", refund, 1000)),
                found(subscription),
            ];
            let invoices = (0..=month).map(|month| {
                let since = Some(at(SALE + month * 30 * DAY + 3600));
                Found {
                    since,
                    ..found(paid(&format!("fin_{month}"), month))
                }
            });
            all.extend(invoices);
            all
        },
    )
}

/// Some earlier announcements of the same things.
fn announced() -> impl Strategy<Value = Vec<(i64, Change)>> {
    let change = prop_oneof![
        Just(completed()),
        prop::sample::select(vec!["pending", "succeeded", "failed"])
            .prop_map(|status| refunded("fre_1", status, 1000)),
        prop::sample::select(vec!["incomplete", "active", "past_due"]).prop_map(subscribed),
        (0_i64..3).prop_map(|month| paid(&format!("fin_{month}"), month)),
    ];
    prop::collection::vec((SALE..SALE + 100 * DAY, change), 0..8)
}

proptest! {
    /// For any earlier events: a recovered thing is no longer missing, and stays so when it is recovered again.
    #[test]
    fn nothing_is_missing_once_it_is_made_up_for(before in announced(), ends in ends()) {
        let mut shop = Shop::selling(sale(vec![line("brace", 1, 5000, Some("BRACE"))]));
        for found in &ends {
            if let Change::Subscription(change) = &found.change {
                let name = change.subscription_id.clone();
                let facts = change.snapshot.value.clone();
                shop.api.subscriptions.insert(name, facts);
            }
        }
        for (second, change) in before {
            shop.tell(second, change);
        }
        // A refund waits for its order; the queue brings it again.
        for found in ends.iter().chain(&ends) {
            if missing(&shop, found) {
                make_up(&mut shop, found, SALE + 120 * DAY);
            }
        }
        let tables = shop.tables.clone();
        for found in &ends {
            prop_assert!(!missing(&shop, found), "{found:?} in {:?}", shop.tables);
            make_up(&mut shop, found, SALE + 121 * DAY);
            prop_assert_eq!(&shop.tables.receipts, &tables.receipts, "a receipt more");
        }
    }
}

#[test]
fn what_a_list_tells_is_told_by_the_webhook_of_the_same_news_and_by_no_other() {
    let of = |change: Change| {
        reference_state::reference_state(&change).map(|subject| subject.to_string())
    };
    let is = |text: &str| Some(text.to_owned());
    for sale in [
        completed(),
        Change::SalePaid {
            order_id: order_id(),
        },
    ] {
        assert_eq!(of(sale), is("sale:fcs_1:complete"));
    }
    assert_eq!(
        of(refunded("fre_1", "succeeded", 1000)),
        is("refund:fre_1:succeeded")
    );
    assert_eq!(of(paid("fin_1", 0)), is("invoice:fin_1:paid"));
    let active = of(subscribed("active")).unwrap();
    assert!(
        active.starts_with("subscription:fsub_1:active-"),
        "{active}"
    );
    assert_ne!(of(subscribed("past_due")), Some(active));
    // Changes of the same things that do not cover it.
    let failed = bill(InvoiceEvent::PaymentFailed, 2000, (SALE, SALE + 30 * DAY));
    for other in [
        Change::Sale {
            order_id: order_id(),
            completed: false,
        },
        Change::Fetch(Reference::RefundsOfSale(order_id())),
        invoice_change("fsub_1", "fin_1", InvoiceEvent::PaymentFailed, failed),
        Change::NotNeeded,
    ] {
        assert_eq!(of(other.clone()), None, "{other:?}");
    }
    assert_eq!(
        of(refunded("fre_1", &"x".repeat(400_000), 1000)),
        None,
        "a row has no room for it"
    );
}

#[test]
fn what_was_parked_goes_on_now_that_it_is_listed_but_for_a_refund_without_its_order() {
    let refund = found(refunded("fre_1", "succeeded", 1000));
    assert!(!goes_on(&refund.change, &rows(&Shop::new(), &refund)));
    let sale = found(completed());
    assert!(goes_on(&sale.change, &rows(&Shop::new(), &sale)));
    let mut shop = sold();
    shop.tell(SALE + 5, refunded("fre_1", "pending", 1000));
    assert!(goes_on(&refund.change, &rows(&shop, &refund)));
    assert!(goes_on(&subscribed("active"), &Snapshot::default()));
}
