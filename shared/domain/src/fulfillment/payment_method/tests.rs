use crate::{
    access::subscription::SubscriptionFacts,
    delivery::event::{Change, Event},
    fulfillment::{any_order::in_every_order, testing::*},
    resource::{
        Resource, ResourceChange, ResourceId,
        payment_method::{MOST_SUBSCRIPTIONS, PaymentMethodFacts},
    },
};

/// A subscription that is charged to that method.
fn charged(subscription: &str, method: &str) -> Change {
    let facts = SubscriptionFacts {
        payment_method_id: Some(id(method)),
        ..snapshot("active", SALE + 30 * DAY)
    };
    subscription_change(subscription, facts)
}

fn method(name: &str, status: &str) -> Change {
    let facts = PaymentMethodFacts {
        status: Some(status.into()),
        customer_id: Some(id("fcus_1")),
        ..PaymentMethodFacts::default()
    };
    let (id, facts) = (id(name), facts.into());
    Change::Resource(ResourceChange::PaymentMethod { id, facts }.into())
}

fn history(changes: Vec<Change>) -> Vec<Event> {
    let event = |(n, change)| facts(&format!("evt_{n}"), SALE + n, change);
    (0..).zip(changes).map(event).collect()
}

#[test]
fn a_removal_flags_the_subscriptions_of_a_method_in_any_order_of_arrival() {
    for (methods, removed, is_flagged) in [
        (["pm_1", "pm_1"], "pm_1", true),
        (["pm_1", "pm_2"], "pm_1", false),
        (["pm_1", "pm_2"], "pm_2", true),
    ] {
        let events = history(vec![
            method(removed, "active"),
            charged("fsub_1", methods[0]),
            charged("fsub_1", methods[1]),
            charged("fsub_2", "pm_2"),
            method(removed, "removed"),
        ]);
        in_every_order(&Shop::new(), &events, &mut |end, order| {
            let flag = |name| end.subscription(name).payment_method_removed;
            assert_eq!(
                flag("fsub_1"),
                is_flagged,
                "{methods:?}, {removed}, {order:?}"
            );
            assert_eq!(flag("fsub_2"), removed == "pm_2", "{order:?}");
        });
    }
}

#[test]
fn a_subscription_with_another_method_is_not_flagged_any_more() {
    let mut shop = Shop::new();
    for event in history(vec![
        charged("fsub_1", "pm_1"),
        method("pm_1", "removed"),
        charged("fsub_1", "pm_2"),
    ]) {
        shop.deliver(&event);
    }
    assert!(!shop.subscription("fsub_1").payment_method_removed);
}

#[test]
fn a_method_is_read_and_written_only_if_the_provider_states_it() {
    let mut shop = Shop::new();
    shop.tell(
        SALE,
        subscription_change("fsub_1", snapshot("active", SALE + DAY)),
    );
    assert!(shop.tables.resources.is_empty());
}

#[test]
fn a_method_names_so_many_subscriptions_and_the_others_see_its_removal_later() {
    let mut shop = Shop::new();
    let names: Vec<String> = (0..=MOST_SUBSCRIPTIONS)
        .map(|n| format!("fsub_{n}"))
        .collect();
    for (second, name) in (SALE..).zip(&names) {
        shop.tell(second, charged(name, "pm_1"));
    }
    shop.tell(SALE + DAY, method("pm_1", "removed"));
    let flagged = |shop: &Shop| {
        let rows = shop.subscriptions();
        rows.values()
            .filter(|row| row.payment_method_removed)
            .count()
    };
    assert_eq!(flagged(&shop), MOST_SUBSCRIPTIONS);
    let Resource::PaymentMethod(row) =
        &shop.tables.resources[&ResourceId::PaymentMethod(id("pm_1"))]
    else {
        panic!("a method");
    };
    assert_eq!(row.subscriptions.len(), MOST_SUBSCRIPTIONS);
    shop.tell(SALE + 2 * DAY, charged(&names[MOST_SUBSCRIPTIONS], "pm_1"));
    assert_eq!(flagged(&shop), MOST_SUBSCRIPTIONS + 1);
}
