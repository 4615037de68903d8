use super::*;
use crate::{
    access::subscription::InvoiceEvent,
    delivery::event::Change,
    fulfillment::testing::{
        DAY, End, SALE, Shop, bill, completed, dispute_news, facts, id, invoice_change, line,
        order_id, paid, payment_change, refunded, sale, snapshot, subscription_change,
    },
    sale::statement::SaleKind,
};
use proptest::prelude::*;

/// A shop that takes references with `web-`, and a subscription of another shop, whose reference is `order-1042`.
fn shop() -> Shop {
    let mut shop = Shop::selling(Sale {
        kind: SaleKind::Subscription,
        subscription_id: Some(id("fsub_1")),
        invoice_id: Some(id("fin_1")),
        ..sale(vec![line("mat", 1, 3000, Some("MAT"))])
    });
    shop.policy.shop.reference_prefix = Some("web-".to_owned());
    shop
}

fn renewal() -> Change {
    let period = (SALE + 30 * DAY, SALE + 60 * DAY);
    let bill = bill(InvoiceEvent::Paid, 3000, period);
    invoice_change("fsub_1", "fin_2", InvoiceEvent::Paid, bill)
}

fn not_needed() -> End {
    End::NotNeeded(NotNeeded::OtherShop)
}

#[test]
fn a_sale_of_another_shop_and_all_that_follows_from_it_needs_nothing() {
    let mut shop = shop();
    assert_eq!(shop.tell(SALE, completed()), not_needed());
    for (second, change) in [
        refunded("fre_1", "succeeded", 3000),
        Change::Dispute(dispute_news("fdsp_1", "needs_response", None)),
        payment_change("fpi_1", Some(paid("succeeded", 3000))),
        renewal(),
        subscription_change("fsub_1", snapshot("active", SALE + DAY)),
        completed(),
    ]
    .into_iter()
    .enumerate()
    {
        let second = SALE + 1 + i64::try_from(second).unwrap();
        assert_eq!(
            shop.tell(second, change.clone()),
            not_needed(),
            "{change:?}"
        );
    }
    assert!(shop.tables.orders.is_empty() && shop.tables.receipts.is_empty());
    assert!(shop.tables.entitlements.is_empty() && shop.tables.movements.is_empty());
    assert_eq!(shop.on_hand("MAT"), 10);
}

#[test]
fn what_comes_before_the_sale_of_another_shop_is_recognized_by_the_provider() {
    for change in [
        refunded("fre_1", "succeeded", 3000),
        Change::Dispute(dispute_news("fdsp_1", "needs_response", None)),
    ] {
        assert_eq!(
            shop().tell(SALE, change.clone()),
            not_needed(),
            "{change:?}"
        );
    }
}

#[test]
fn a_checkout_that_sells_nothing_needs_nothing_in_any_shop() {
    for word in ["setup", "reimbursement"] {
        let mut shop = Shop::selling(Sale {
            kind: SaleKind::NoSale(word.to_owned()),
            payment_intents: Vec::new(),
            ..sale(Vec::new())
        });
        let reason = NotNeeded::SellsNothing(word.to_owned());
        assert_eq!(shop.tell(SALE, completed()), End::NotNeeded(reason));
        assert!(shop.tables.links.is_empty());
    }
}

#[test]
fn an_order_stays_ours_when_the_filter_changes() {
    let mut shop = shop();
    shop.policy.shop.reference_prefix = None;
    assert_eq!(shop.tell(SALE, completed()), End::Done);
    shop.policy.shop.reference_prefix = Some("web-".to_owned());
    assert_eq!(
        shop.tell(SALE + 1, refunded("fre_1", "succeeded", 3000)),
        End::Done
    );
    assert_eq!(shop.order().refunds.len(), 1);
    assert_eq!(shop.tell(SALE + 2, completed()), End::Done);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn in_any_order_and_twice_another_shop_leaves_no_order_and_parks_nothing(
        seed in prop::collection::vec(any::<u32>(), 12),
    ) {
        let all = [
            facts("fevt_1", SALE, completed()),
            facts("fevt_2", SALE + 1, payment_change("fpi_1", Some(paid("succeeded", 3000)))),
            facts("fevt_3", SALE + 2, refunded("fre_1", "succeeded", 3000)),
            facts("fevt_4", SALE + 3, Change::Dispute(dispute_news("fdsp_1", "lost", None))),
            facts("fevt_5", SALE + 4, renewal()),
            facts("fevt_6", SALE + 5, subscription_change("fsub_1", snapshot("active", SALE + DAY))),
        ];
        let mut twice: Vec<_> = all.iter().chain(&all).zip(&seed).collect();
        twice.sort_by_key(|(_, place)| **place);
        let mut shop = shop();
        let mut left: Vec<_> = twice.into_iter().map(|(event, _)| event).collect();
        while !left.is_empty() {
            let mut waiting = Vec::new();
            for event in left {
                match shop.deliver(event) {
                    End::Waits(_) => waiting.push(event),
                    End::Parked(park_reason) => prop_assert!(false, "{park_reason}"),
                    End::Done | End::NotNeeded(_) => {}
                }
            }
            left = waiting;
        }
        prop_assert!(shop.tables.orders.is_empty() && shop.tables.receipts.is_empty());
        prop_assert!(!shop.tables.orders.contains_key(&order_id()));
    }
}
