use crate::{
    delivery::event::Change,
    fulfillment::testing::{SALE, Shop, at, completed, id, line, order_id, sale},
    receipt::ReceiptKind,
    resource::{
        Resource, ResourceChange, ResourceId,
        invoice::{Attempt, Invoice, InvoiceFacts},
    },
    values::{facts::Stated, ids::ReceiptId, money::Currency, provider::Party},
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::collections::BTreeMap;

const NOTICE: &str = "inv_1-payment_failed";

/// An issued invoice of the order.
fn issued() -> InvoiceFacts {
    InvoiceFacts {
        number: Some("2026-7".to_owned()),
        status: Some("open".into()),
        order_id: Some(order_id()),
        currency: Some(Currency::USD),
        outstanding: Some(5_000),
        ..InvoiceFacts::default()
    }
}

fn status(word: &str) -> InvoiceFacts {
    InvoiceFacts {
        status: Some(word.into()),
        ..InvoiceFacts::default()
    }
}

fn attempt(status: &str) -> InvoiceFacts {
    let attempt = Stated {
        at: Some(at(SALE)),
        ..Stated::from(Attempt {
            status: status.to_owned(),
            failed: status == "failed",
        })
    };
    InvoiceFacts {
        attempts: BTreeMap::from([(id(&format!("invpa_{status}")), attempt)]),
        ..InvoiceFacts::default()
    }
}

fn blocked(blocked: bool) -> InvoiceFacts {
    InvoiceFacts {
        blocked: Some(blocked),
        ..InvoiceFacts::default()
    }
}

fn change(version: u64, facts: &InvoiceFacts) -> Change {
    let facts = Stated {
        version,
        ..Stated::from(facts.clone())
    };
    Change::Resource(Box::new(ResourceChange::Invoice {
        id: id("inv_1"),
        facts: Box::new(facts),
    }))
}

/// A shop whose merchant wants the notices, and whose order is not known yet.
fn shop() -> Shop {
    let mut shop = Shop::selling(sale(vec![line("brace", 1, 5_000, None)]));
    shop.policy.payment_failed_mail = true;
    shop
}

/// The same with the order.
fn shop_with_order() -> Shop {
    let mut shop = shop();
    shop.tell(SALE, completed());
    shop
}

/// Delivers these facts, each with the version of its place.
fn tell_all(shop: &mut Shop, facts: &[InvoiceFacts]) {
    for (version, facts) in (1..).zip(facts) {
        let second = SALE + i64::try_from(version).unwrap();
        shop.tell(second, change(version, facts));
    }
}

fn row(shop: &Shop) -> &Invoice {
    match &shop.tables.resources[&ResourceId::Invoice(id("inv_1"))] {
        Resource::Invoice(row) => row,
        other => panic!("{other:?}"),
    }
}

fn has_notice(shop: &Shop) -> bool {
    let is_made = shop.receipts().contains(&NOTICE);
    assert_eq!(row(shop).notice_id.is_some(), is_made);
    is_made
}

#[test]
fn an_invoice_has_a_notice_once_a_payment_failed_and_it_must_still_be_paid() {
    for (facts, is_due) in [
        (vec![], false),
        (vec![attempt("failed")], true),
        (vec![attempt("canceled")], false),
        (vec![attempt("expired")], false),
        (vec![attempt("processing")], false),
        (vec![blocked(true), attempt("failed")], false),
        (vec![blocked(true), attempt("failed"), blocked(false)], true),
        (vec![status("paid"), attempt("failed")], false),
        (vec![status("void"), attempt("failed")], false),
        (vec![status("credited"), attempt("failed")], false),
        (vec![status("uncollectible"), attempt("failed")], false),
        (vec![status("draft"), attempt("failed")], false),
        (
            vec![status("draft"), attempt("failed"), status("open")],
            true,
        ),
        (vec![status("partially_paid"), attempt("failed")], true),
    ] {
        let mut shop = shop_with_order();
        let facts = [vec![issued()], facts].concat();
        tell_all(&mut shop, &facts);
        assert_eq!(has_notice(&shop), is_due, "{facts:?}");
    }
}

#[test]
fn a_notice_goes_to_the_invoices_order_and_names_an_amount_of_its_currency() {
    for (currency, amount) in [
        (Currency::USD, Some(5_000)),
        (Currency::new("CAD").unwrap(), None),
    ] {
        let mut shop = shop_with_order();
        let issued = InvoiceFacts {
            currency: Some(currency),
            ..issued()
        };
        tell_all(&mut shop, &[issued, attempt("failed")]);
        let notice = &shop.tables.receipts[&id::<ReceiptId>(NOTICE)];
        let kind = ReceiptKind::InvoicePaymentFailed {
            invoice_id: id("inv_1"),
            number: Some("2026-7".to_owned()),
            amount,
        };
        assert_eq!((&notice.order_id, &notice.kind), (&order_id(), &kind));
    }
}

#[test]
fn no_notice_is_made_unless_the_merchant_wants_it_and_sends_the_mails() {
    for (is_wanted, sender, is_made) in [
        (true, Party::Us, true),
        (false, Party::Us, false),
        (true, Party::Provider, false),
    ] {
        let mut shop = shop_with_order();
        shop.policy.payment_failed_mail = is_wanted;
        shop.provider.receipts = sender;
        tell_all(&mut shop, &[issued(), attempt("failed")]);
        assert_eq!(has_notice(&shop), is_made, "{is_wanted}, {sender:?}");
    }
}

#[test]
fn an_erased_order_gets_no_notice() {
    let mut shop = shop_with_order();
    let order = shop.tables.orders.get_mut(&order_id()).unwrap();
    order.is_erased = true;
    tell_all(&mut shop, &[issued(), attempt("failed")]);
    assert!(!has_notice(&shop));
}

#[test]
fn a_notice_that_exists_is_not_made_again_after_the_row_was_lost() {
    let mut shop = shop_with_order();
    let facts = [issued(), attempt("failed")];
    tell_all(&mut shop, &facts);
    shop.tables.resources.clear();
    tell_all(&mut shop, &facts);
    assert!(has_notice(&shop));
}

/// The life of an invoice. The place is the version.
fn life() -> Vec<InvoiceFacts> {
    let part = InvoiceFacts {
        outstanding: Some(3_000),
        ..status("partially_paid")
    };
    vec![
        issued(),
        attempt("failed"),
        blocked(true),
        blocked(false),
        part,
        attempt("canceled"),
        status("paid"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_the_events_arrive_an_invoice_has_one_notice_if_it_was_ever_due(
        order in vec(select((0..life().len()).collect::<Vec<_>>()), 1..12),
        known_from in 0_usize..12,
    ) {
        let mut shop = shop();
        let mut is_due = false;
        for (step, place) in order.into_iter().enumerate() {
            if step == known_from {
                shop.tell(SALE, completed());
            }
            let version = u64::try_from(place).unwrap() + 1;
            let second = SALE + 1 + i64::try_from(step).unwrap();
            shop.tell(second, change(version, &life()[place]));
            let row = row(&shop);
            let is_order_known = step >= known_from && row.order_id.get().is_some();
            is_due |= is_order_known && row.payment_fails();
            prop_assert_eq!(has_notice(&shop), is_due);
        }
    }
}
