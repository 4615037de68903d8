use super::*;
use domain::resource::{ResourceChange, payment_method::PaymentMethodStatus};
use reading::Kind;
use serde_json::json;
use std::collections::BTreeSet;

/// The names of the guide on choosing events.
const GUIDE: &str = "\
    payment_intent.succeeded payment_intent.payment_failed payment_intent.requires_action \
    balance_transaction.created balance_transaction.updated order.created order.updated \
    order.closed order.payment_succeeded order.inventory_exception.created \
    order.inventory_exception.resolved order.reconciliation_exception.created \
    order.fulfillment.status_changed invoice.created invoice.opened invoice.updated \
    invoice.payment_failed invoice.payment_attempt_canceled invoice.payment_attempt_expired \
    invoice.collection_blocked invoice.collection_block_resolved invoice.paid invoice.voided \
    invoice.sent subscription.created subscription.activated subscription.payment_succeeded \
    subscription.payment_failed subscription.past_due subscription.paused subscription.resumed \
    subscription.canceled payment_method.saved payment_method.failed payment_method.removed \
    merchant.readiness.updated capability.updated checkout_session.completed \
    checkout_session.closed checkout_session.expired checkout_session.invalidated";

const HOLD: &str = "payment_intent.fulfillment_hold.updated";

fn data(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn change(event_type: &str, value: &Value) -> Result<Change, NotUnderstood> {
    of(event_type, &data(value), Some("mer_1"))
}

fn order_id(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

fn paid(id: &str) -> Change {
    Change::Sale {
        order_id: order_id(id),
        completed: true,
    }
}

#[test]
fn every_name_of_the_guide_has_a_rule() {
    for name in GUIDE.split(' ') {
        assert!(handling(current_name(name)).is_some(), "{name}");
    }
}

#[test]
fn a_type_is_listed_once_under_one_current_name() {
    let mut names: Vec<_> = event_types().map(|(name, _)| name).collect();
    names.extend(aliases().map(|(alias, _)| alias));
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    for name in names {
        let is_of_family = families().any(|start| name.starts_with(start));
        assert!(!is_of_family, "{name}");
    }
}

#[test]
fn an_older_name_is_the_same_event() {
    let expected = [
        ("order.payment_succeeded", "order.payment_captured"),
        ("invoice.opened", "invoice.issued"),
    ];
    assert_eq!(aliases().collect::<Vec<_>>(), expected);
    for (alias, current) in expected {
        assert_eq!(current_name(alias), current);
        assert_eq!(current_name(current), current);
    }
}

#[test]
fn an_event_of_an_order_has_the_meaning_of_its_type() {
    let value = json!({"order_id": "ord_1", "payment_status": "paid", "status": "closed"});
    let orders = event_types().filter(|(_, kind)| *kind == "order");
    for (name, _) in orders {
        let order_id = order_id("ord_1");
        let expected = match name {
            "order.paid" => paid("ord_1"),
            "order.refunded" => Change::Fetch(Reference::RefundsOfSale(order_id)),
            "order.reconciliation_exception.created" | "order.inventory_action_required" => {
                Change::Exception { order_id }
            }
            _ => Change::Fetch(Reference::Sale(order_id)),
        };
        assert_eq!(change(name, &value), Ok(expected), "{name}");
    }
}

#[test]
fn an_event_of_another_thing_names_what_to_read() {
    for (name, id, expected) in [
        (
            "payment_intent.succeeded",
            "payment_intent_id",
            "payment pi_1",
        ),
        (HOLD, "payment_intent_id", "payment pi_1"),
        ("refund.failed", "refund_id", "refund ref_1"),
        (
            "subscription.payment_failed",
            "subscription_id",
            "subscription sub_1",
        ),
        (
            "order.fulfillment.updated",
            "fulfillment_id",
            "fulfillment ful_1",
        ),
        ("invoice.overdue", "invoice_id", "invoice inv_1"),
        (
            "balance_transaction.created",
            "balance_transaction_id",
            "transaction btxn_1",
        ),
        (
            "payment_method.failed",
            "payment_method_id",
            "payment_method pm_1",
        ),
        (
            "merchant.readiness.updated",
            "merchant_id",
            "merchant mer_2",
        ),
        ("capability.updated", "capability", "merchant mer_1"),
        (
            "checkout_session.expired",
            "checkout_session_id",
            "checkout_session cs_1",
        ),
    ] {
        let (_, own) = expected.split_once(' ').unwrap();
        // No member of another thing counts.
        let value = json!({"order_id": "ord_1", "return_id": "ret_1", "status": "paid", "version": 3, id: own});
        match change(name, &value) {
            Ok(Change::Fetch(reference)) => assert_eq!(reference.to_string(), expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let unnamed = of("capability.updated", &Map::new(), None);
    assert_eq!(unnamed, Err(NotUnderstood::Missing("merchant_id")));
}

#[test]
fn the_removal_of_a_payment_method_needs_no_read() {
    let id = json!({"payment_method_id": "pm_1"});
    let removed = change("payment_method.removed", &id);
    let Ok(Change::Resource(change)) = removed else {
        panic!("{removed:?}")
    };
    assert_eq!(change.id().to_string(), "payment_method#pm_1");
    let ResourceChange::PaymentMethod { facts, .. } = *change else {
        panic!("{change:?}")
    };
    assert_eq!(facts.status, Some(PaymentMethodStatus::Removed));
}

#[test]
fn a_dispute_waits_for_a_person_because_its_facts_are_not_published() {
    let disputes = event_types().filter(|(_, kind)| *kind == "dispute");
    let expected = Change::NotUnderstood(Unreadable::Unpublished("dispute"));
    for (name, _) in disputes {
        let read = change(name, &json!({"dispute_id": "dp_1"}));
        assert_eq!(read, Ok(expected.clone()), "{name}");
    }
}

#[test]
fn an_id_is_in_the_data_or_in_its_thing_and_never_in_both_differently() {
    let nested = |id: Value| json!({"order": {"order_id": id}});
    let both =
        |flat: Value, nested: Value| json!({"order_id": flat, "order": {"order_id": nested}});
    let of = |value: &Value| change("order.paid", value);
    for value in [
        json!({"order_id": "ord_1"}),
        json!({"order_id": " ord_1\u{200b}"}),
        nested(json!("ord_1")),
        both(json!("ord_1"), json!("ord_1")),
        both(json!(null), json!("ord_1")),
        both(json!(7), json!("ord_1")),
        both(json!("ord_1"), json!([])),
        json!({"order_id": "ord_1", "order": "ord_1"}),
    ] {
        assert_eq!(of(&value), Ok(paid("ord_1")), "{value}");
    }
    let place = "data.order_id";
    let malformed = |kind| NotUnderstood::Malformed(place, kind);
    for (value, why) in [
        (json!({}), NotUnderstood::Missing(place)),
        (json!({"order_id": ""}), NotUnderstood::Missing(place)),
        (nested(json!(null)), NotUnderstood::Missing(place)),
        (json!({"order_id": 7}), malformed(Kind::Number)),
        (json!({"order_id": "a b"}), malformed(Kind::Text)),
        (both(json!("ord_1"), json!("ord_2")), malformed(Kind::Text)),
    ] {
        assert_eq!(of(&value), Err(why), "{value}");
    }
}

#[test]
fn other_families_need_nothing_and_an_unknown_type_is_kept() {
    for name in [
        "customer.created",
        "payouts.paid",
        "return_resolution.created",
        "invoice.sent",
    ] {
        assert_eq!(change(name, &json!({})), Ok(Change::NotNeeded), "{name}");
    }
    for name in [
        "something.new",
        "order.something_new",
        "Order.paid",
        "order",
    ] {
        assert_eq!(change(name, &json!({})), Ok(Change::Unhandled), "{name}");
    }
}

#[test]
fn the_stamp_is_the_member_that_orders_a_things_states() {
    let time = |second| Timestamp::from_second(second).unwrap();
    let value = data(&json!({
        "resource_updated_at": 1, "fulfillment_hold": {"updated_at": 2}, "fulfillment": {"updated_at": 3},
        "observed_at": 4, "payment_attempt_updated_at": 5, "version": 7,
    }));
    let of = |name: &str| stamp(name, &value, Some(time(9)));
    let at = |version, second| {
        let at = time(second);
        Some(Stamp {
            version,
            at,
            rank: u8::MAX,
        })
    };
    for (name, expected) in [
        ("order.updated", at(0, 1)),
        ("payment_intent.succeeded", at(0, 1)),
        (HOLD, at(0, 2)),
        ("order.fulfillment.updated", at(0, 3)),
        ("merchant.readiness.updated", at(0, 4)),
        ("capability.updated", at(0, 4)),
        ("invoice.paid", at(7, 5)),
        ("subscription.updated", at(0, 1)),
        ("balance_transaction.updated", None),
        ("customer.updated", None),
        ("something.new", None),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    let version = data(&json!({"version": 7}));
    assert_eq!(stamp("invoice.sent", &version, None), None);
    assert_eq!(stamp("invoice.paid", &version, Some(time(9))), at(7, 9));
    for odd in [json!({"version": -1}), json!({"version": "7"}), json!({})] {
        let stamp = stamp("invoice.paid", &data(&odd), Some(time(9)));
        assert_eq!(stamp, None, "{odd}");
    }
}
