//! Listed events, and the orders of a list that states when each has changed.

use super::*;
use crate::{
    delivery::{
        event::{Change, Event, Unreadable},
        reference::Reference,
    },
    fulfillment::{
        read_set::ReadSet,
        testing::{End, NOW, SALE, Shop, at, completed, facts, id, line, order_id, sale},
    },
    sale::{
        hold::Hold,
        statement::{Sale, SaleStatus},
    },
    upkeep::reconcile::Received,
    values::facts::Stamp,
};

fn stamp(second: i64) -> Stamp {
    Stamp::at(at(SALE + second))
}

/// A listed thing that was made at the time of the sale.
fn found(change: Change) -> Found {
    Found {
        resource: "order",
        id: "fcs_1".to_owned(),
        event_id: None,
        mode: None,
        created_at: Some(at(SALE)),
        is_recent: true,
        since: Some(at(SALE)),
        stamp: None,
        received: None,
        marks: None,
        event_type: "",
        object: Vec::new(),
        change,
    }
}

fn failed_delivery(change: Change) -> Found {
    Found {
        resource: "webhook_event",
        event_id: Some(id("whev_1")),
        ..found(change)
    }
}

fn gap(found: Found) -> Gap {
    Gap {
        list: List {
            provider: "flint".parse().unwrap(),
            name: "any",
        },
        event_id: event_id(&found, &Snapshot::default(), at(NOW)),
        found: Box::new(found),
        read_at: at(NOW),
    }
}

/// The order as the provider has it at that second.
fn has(second: i64, received: i64) -> Sale {
    Sale {
        received: Some(received),
        is_unpaid: received == 0,
        payment_intents: Vec::new(),
        payments: BTreeMap::new(),
        stamp: Some(stamp(second)),
        ..sale(vec![line("mat", 1, 3000, Some("MAT"))])
    }
}

/// The same order in the list.
fn listed(sale: &Sale) -> Found {
    let amount = sale.received.unwrap_or_default();
    let received = Received {
        amount,
        is_all: amount == sale.totals.total,
    };
    Found {
        stamp: sale.stamp,
        received: Some(received).filter(|_| amount > 0),
        ..found(Change::Sale {
            order_id: order_id(),
            completed: amount > 0,
        })
    }
}

fn rows(shop: &Shop) -> Stored {
    let rows = shop.tables.read(&ReadSet::of_order(&order_id()));
    Stored::Rows(Box::new(rows))
}

fn is_missing_in(shop: &Shop, sale: &Sale) -> bool {
    is_gap(&listed(sale), &rows(shop), at(NOW), at(NOW))
}

/// A shop that has read each of these states.
fn shop(states: &[Sale]) -> Shop {
    let mut shop = Shop::selling(has(0, 0));
    for (n, state) in states.iter().enumerate() {
        shop.api.sales.insert(order_id(), state.clone());
        shop.deliver(&thin(&format!("evt_{n}")));
    }
    shop
}

/// An event that states nothing but its order.
fn thin(event_id: &str) -> Event {
    facts(event_id, SALE, Change::Fetch(Reference::Sale(order_id())))
}

#[test]
fn a_listed_event_is_missing_until_its_id_is_stored_whatever_it_states() {
    let exception = Change::Exception {
        order_id: order_id(),
    };
    let unpublished = Change::NotUnderstood(Unreadable::Unpublished("dispute"));
    let fetch = Change::Fetch(Reference::Sale(order_id()));
    for change in [completed(), fetch, exception, unpublished] {
        let gap = gap(failed_delivery(change));
        assert_eq!(gap.event_id.as_str(), "whev_1");
        for (is_stored, expected) in [
            (
                false,
                Look::Stays(Remedy {
                    stated_at: at(SALE),
                    resumes: false,
                    waits: false,
                }),
            ),
            (true, Look::Gone),
        ] {
            let stored = Stored::Event { is_stored };
            assert_eq!(is_gap(&gap.found, &stored, at(NOW), at(NOW)), !is_stored);
            let look = look_again(&gap, &stored, &OpenStates::default());
            assert_eq!(look, expected, "{:?}", gap.found.change);
        }
    }
}

#[test]
fn a_young_event_or_change_is_left_to_the_providers_retries() {
    let young = Found {
        since: Some(at(NOW - 14 * 60)),
        ..failed_delivery(completed())
    };
    assert!(young.is_young(at(NOW)) && !failed_delivery(completed()).is_young(at(NOW)));
    let changed = listed(&has(NOW - SALE - 14 * 60, 3000));
    assert!(changed.is_young(at(NOW)));
}

#[test]
fn an_order_is_missing_if_its_row_lacks_money_or_a_change_and_no_event_more() {
    let held = Sale {
        holds: [Hold::Inventory].into(),
        ..has(1, 3000)
    };
    let closed = |second: i64, received| Sale {
        status: SaleStatus::Canceled,
        ..has(second, received)
    };
    for (name, known, now, missing) in vec![
        ("unpaid, no row", vec![], has(1, 0), false),
        ("part, no row", vec![], has(1, 1000), true),
        ("paid, no row", vec![], has(1, 3000), true),
        ("closed with a part, no row", vec![], closed(1, 1000), true),
        ("unpaid", vec![has(1, 0)], has(1, 0), false),
        ("unpaid, changed", vec![has(1, 0)], has(2, 0), true),
        ("paid since", vec![has(1, 0)], has(1, 3000), true),
        ("part", vec![has(1, 1000)], has(1, 1000), false),
        ("a second part", vec![has(1, 1000)], has(2, 2000), true),
        ("closed", vec![has(1, 0)], closed(2, 0), true),
        (
            "closed with a part",
            vec![closed(1, 1000)],
            closed(1, 1000),
            false,
        ),
        ("held", vec![held.clone()], held.clone(), false),
        ("held, released", vec![held], has(2, 3000), true),
        ("fulfilled", vec![has(1, 3000)], has(1, 3000), false),
        (
            "fulfilled, changed",
            vec![has(1, 3000)],
            has(2, 3000),
            false,
        ),
        ("behind", vec![has(2, 0)], has(1, 0), false),
    ] {
        let mut shop = shop(&known);
        assert_eq!(is_missing_in(&shop, &now), missing, "{name}");
        if !missing {
            continue;
        }
        shop.api.sales.insert(order_id(), now.clone());
        assert_eq!(shop.deliver(&thin("evt_recovered")), End::Done, "{name}");
        assert!(!is_missing_in(&shop, &now), "{name}: a second run");
    }
}

#[test]
fn each_change_of_a_waiting_order_has_its_event_and_the_same_change_the_same() {
    let shop = shop(&[has(1, 0)]);
    let id = |second| {
        let found = listed(&has(second, 0));
        let Stored::Rows(rows) = rows(&shop) else {
            panic!("rows")
        };
        event_id(&found, &rows, at(NOW))
    };
    assert_eq!(id(2), id(2));
    assert_ne!(id(2), id(3));
}
