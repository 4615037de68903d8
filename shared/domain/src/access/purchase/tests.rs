use super::*;
use crate::{
    access::entitlement::Entitlement,
    delivery::event::Change,
    fulfillment::testing::{
        DAY, End, NOW, SALE, Shop, at, completed, dispute_news, facts, id, line, order_id,
        refunded, sale, snapshot, subscription_change,
    },
    sale::{
        mapping::{MappingKey, MappingRow},
        statement::Sale,
    },
    values::ids::Grantor,
};
use proptest::prelude::*;

fn grants(name: &str, days: Option<u32>) -> MappingRow {
    MappingRow {
        grants: Some(Grant {
            name: id(name),
            days,
        }),
        ..MappingRow::default()
    }
}

/// A shop with a course: 30 days each, 3000 cents for two.
fn shop(policy: AccessPolicy) -> Shop {
    let mut shop = Shop::selling(sale(vec![line("course", 2, 3000, None)]));
    let key = MappingKey::Product(id("fprod_course"));
    shop.tables
        .mapping
        .insert(key, grants("fprod_gym", Some(30)));
    shop.policy.access = AccessPolicies {
        on_full_refund: policy,
        on_lost_dispute: policy,
    };
    shop
}

fn until(row: &Entitlement) -> (i64, Reason) {
    (row.access_until.as_second(), row.reason)
}

#[test]
fn each_unit_adds_its_days_from_the_time_of_fulfillment() {
    let mut shop = shop(AccessPolicy::Keep);
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    let row = shop.access("fprod_gym");
    assert_eq!(until(row), (NOW + 60 * DAY, Reason::Purchased));
    assert_eq!(row.granted_by, Grantor::from(&order_id()));
    assert_eq!(shop.order().uncounted_lines(), 0);
    assert!(shop.tables.reported.is_empty());
}

#[test]
fn access_without_days_or_beyond_all_times_has_no_end() {
    for days in [None, Some(u32::MAX)] {
        let mut shop = shop(AccessPolicy::Keep);
        let key = MappingKey::Price(id("fprice_course"));
        shop.tables.mapping.insert(key, grants("fprod_gym", days));
        shop.tell(SALE, completed());
        assert_eq!(
            shop.access("fprod_gym").access_until.as_second(),
            WITHOUT_END
        );
    }
}

#[test]
fn a_full_refund_ends_access_by_policy_and_a_partial_one_never_does() {
    let end = NOW + 60 * DAY;
    for (policy, amount, status, expected) in [
        (
            AccessPolicy::Revoke,
            3000,
            "succeeded",
            (0, Reason::Refunded),
        ),
        (
            AccessPolicy::Revoke,
            3000,
            "failed",
            (end, Reason::Purchased),
        ),
        (
            AccessPolicy::Revoke,
            1500,
            "succeeded",
            (end, Reason::Purchased),
        ),
        (
            AccessPolicy::Keep,
            3000,
            "succeeded",
            (end, Reason::Purchased),
        ),
    ] {
        let mut shop = shop(policy);
        shop.tell(SALE, completed());
        shop.tell(SALE + 1, refunded("fre_1", status, amount));
        assert_eq!(
            until(shop.access("fprod_gym")),
            expected,
            "{policy:?} {amount} {status}"
        );
    }
}

#[test]
fn a_lost_dispute_ends_access_by_policy_and_no_other_end_does() {
    let end = NOW + 60 * DAY;
    for (policy, status, expected) in [
        (AccessPolicy::Revoke, "lost", (0, Reason::DisputeLost)),
        (AccessPolicy::Revoke, "won", (end, Reason::Purchased)),
        (
            AccessPolicy::Revoke,
            "needs_response",
            (end, Reason::Purchased),
        ),
        (AccessPolicy::Keep, "lost", (end, Reason::Purchased)),
    ] {
        let mut shop = shop(policy);
        shop.tell(SALE, completed());
        let change = dispute_news("fdsp_1", status, None);
        assert_eq!(shop.tell(SALE + 1, Change::Dispute(change)), End::Done);
        let access = until(shop.access("fprod_gym"));
        assert_eq!(access, expected, "{policy:?} {status}");
    }
}

#[test]
fn a_refund_that_fails_after_all_gives_access_back() {
    let mut shop = shop(AccessPolicy::Revoke);
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 3000));
    assert_eq!(shop.access("fprod_gym").reason, Reason::Refunded);
    shop.tell(SALE + 2, refunded("fre_1", "failed", 3000));
    assert_eq!(shop.access("fprod_gym").reason, Reason::Purchased);
}

#[test]
fn a_purchase_shortens_no_longer_access_and_its_refund_leaves_the_others() {
    let mut shop = shop(AccessPolicy::Revoke);
    let end = NOW + 90 * DAY;
    shop.tell(SALE, subscription_change("fsub_1", snapshot("active", end)));
    shop.tell(SALE + 1, completed());
    assert_eq!(until(shop.access("fprod_gym")), (end, Reason::Paid));
    assert_eq!(shop.access("fprod_gym").grants.len(), 2);
    shop.tell(SALE + 2, refunded("fre_1", "succeeded", 3000));
    assert_eq!(until(shop.access("fprod_gym")), (end, Reason::Paid));
}

#[test]
fn a_guest_without_a_customer_has_an_order_that_says_so() {
    let mut shop = shop(AccessPolicy::Keep);
    let sale = shop.api.sales.get_mut(&order_id()).unwrap();
    sale.customer.customer_id = None;
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    assert!(shop.tables.entitlements.is_empty());
    assert!(shop.order().lacks_customer());
}

/// Another purchase of the same course, by the same customer.
fn another() -> Sale {
    Sale {
        order_id: id("fcs_2"),
        payment_intents: vec![id("fpi_2")],
        client_reference_id: None,
        ..sale(vec![line("course", 1, 1500, None)])
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn in_any_order_and_twice_access_comes_to_one_end(seed in prop::collection::vec(any::<u32>(), 14)) {
        let second = Change::Sale { order_id: id("fcs_2"), completed: true };
        let all = [
            facts("fevt_1", SALE, completed()),
            facts("fevt_2", SALE + 1, second),
            facts("fevt_3", SALE + 2, refunded("fre_1", "pending", 3000)),
            facts("fevt_4", SALE + 3, refunded("fre_1", "succeeded", 3000)),
            facts("fevt_5", SALE + 4, refunded("fre_1", "failed", 3000)),
            facts("fevt_6", SALE + 5, refunded("fre_2", "succeeded", 3000)),
            facts("fevt_7", SALE + 6, subscription_change("fsub_1", snapshot("active", NOW + DAY))),
        ];
        let mut twice: Vec<_> = all.iter().chain(&all).zip(&seed).collect();
        twice.sort_by_key(|(_, place)| **place);
        let mut shop = shop(AccessPolicy::Revoke);
        shop.api.sales.insert(id("fcs_2"), another());
        let mut left: Vec<_> = twice.into_iter().map(|(event, _)| event).collect();
        // What waits for its order comes again.
        while !left.is_empty() {
            left.retain(|event| matches!(shop.deliver(event), End::Waits(_)));
        }
        let row = shop.access("fprod_gym");
        prop_assert_eq!(until(row), (NOW + 30 * DAY, Reason::Purchased));
        prop_assert_eq!(row.granted_by.as_str(), "fcs_2");
        prop_assert_eq!(row.grants.len(), 3);
        prop_assert_eq!(row.grants[&Grantor::from(&order_id())].until, None);
        prop_assert_eq!(row.grants[&id::<Grantor>("fsub_1")].until, Some(at(NOW + DAY)));
    }
}
