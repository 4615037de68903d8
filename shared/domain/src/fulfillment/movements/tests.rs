use crate::{
    delivery::event::Change,
    fulfillment::testing::*,
    resource::{
        Resource,
        journal::{Group, journal},
        transaction::Transaction,
    },
    sale::{
        dispute::DisputeFunds,
        payment::PaymentFacts,
        statement::{Capture, Sale},
    },
    values::{facts::Stated, money::Currency, provider::Party},
};
use jiff::Timestamp;

fn made_at(second: i64, facts: Stated<PaymentFacts>) -> Stated<PaymentFacts> {
    let made_at = Some(at(second));
    let value = PaymentFacts {
        made_at,
        ..facts.value
    };
    Stated { value, ..facts }
}

/// A sale of 30.00 that was paid a minute before its completion.
fn mat() -> Sale {
    let mut sale = with_payments(
        sale(vec![line("mat", 1, 3000, Some("MAT"))]),
        &["succeeded"],
    );
    for facts in sale.payments.values_mut() {
        *facts = made_at(SALE - 60, facts.clone());
    }
    sale
}

fn transactions(shop: &Shop) -> Vec<&Transaction> {
    let rows = shop.tables.resources.values();
    let transactions = rows.filter_map(|row| match row {
        Resource::Transaction(row) => Some(&**row),
        _ => None,
    });
    transactions.collect()
}

/// Each row: id, amount, seconds since the sale, and whether it is void.
fn movements(shop: &Shop) -> Vec<(&str, i64, i64, bool)> {
    let rows = transactions(shop).into_iter();
    rows.map(|row| {
        let entry = row.entry.get().unwrap();
        let second = entry.occurred_at.as_second() - SALE;
        (row.id.as_str(), entry.amount, second, row.is_void())
    })
    .collect()
}

/// The order's money that the provider still has by the journal, and the journal's sum of a group.
fn balance(shop: &Shop, group: Group) -> (i64, i64) {
    let always = Timestamp::UNIX_EPOCH..Timestamp::MAX;
    let journal = journal(transactions(shop), always);
    let book = &journal.books[&("flex".parse().unwrap(), Currency::USD)];
    let total = book.totals.get(&group).copied();
    (book.closing, total.unwrap_or_default())
}

#[test]
fn a_payment_is_recorded_with_its_order_and_only_once() {
    let mut shop = Shop::selling(mat());
    for second in 0..3 {
        shop.tell(SALE + second, completed());
    }
    assert_eq!(movements(&shop), [("fpi_1-payment", 3000, -60, false)]);
    let [row] = transactions(&shop)[..] else {
        panic!("one row")
    };
    assert_eq!((row.version, row.order_id.get()), (1, Some(&order_id())));
    assert_eq!(balance(&shop, Group::Payments), (3000, 3000));
}

#[test]
fn money_that_a_provider_records_itself_is_not_recorded_again() {
    let mut shop = Shop::selling(mat());
    shop.provider.movements = Party::Provider;
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1000));
    assert_eq!(movements(&shop), []);
}

#[test]
fn only_what_was_taken_counts() {
    for (status, received, amount) in [
        ("succeeded", Some(2000), Some(2000)),
        ("succeeded", None, Some(3000)),
        ("requires_capture", Some(0), None),
        ("requires_capture", Some(500), Some(500)),
        ("processing", None, None),
        ("canceled", None, None),
    ] {
        let mut sale = mat();
        sale.capture = Capture::Manual;
        let facts = PaymentFacts {
            received,
            ..made_at(SALE, paid(status, 3000)).value
        };
        sale.payments.insert(id("fpi_1"), facts.into());
        let mut shop = Shop::selling(sale);
        shop.tell(SALE, completed());
        let amounts: Vec<i64> = movements(&shop).iter().map(|row| row.1).collect();
        assert_eq!(amounts, Vec::from_iter(amount), "{status} {received:?}");
    }
}

#[test]
fn a_payment_that_is_announced_after_its_order_has_its_own_time_then() {
    let mut shop = Shop::selling(Sale {
        payments: std::collections::BTreeMap::new(),
        received: Some(3000),
        ..mat()
    });
    shop.tell(SALE, completed());
    assert_eq!(movements(&shop), [("fpi_1-payment", 3000, 0, false)]);
    let facts = made_at(SALE - 60, paid("succeeded", 3000));
    shop.tell(SALE + 1, payment_change("fpi_1", Some(facts)));
    assert_eq!(movements(&shop), [("fpi_1-payment", 3000, -60, false)]);
}

#[test]
fn received_money_without_a_known_payment_is_recorded_once() {
    for (received, taken, expected) in [
        (3000, None, vec![("fpi_1-payment", 3000)]),
        (
            3000,
            Some(2000),
            vec![("fpi_1-payment", 2000), ("fpi_2-payment", 1000)],
        ),
        (3000, Some(3000), vec![("fpi_1-payment", 3000)]),
    ] {
        let facts = taken.map(|amount| (id("fpi_1"), made_at(SALE, paid("succeeded", amount))));
        let mut shop = Shop::selling(Sale {
            payment_intents: vec![id("fpi_1"), id("fpi_2")],
            payments: facts.into_iter().collect(),
            received: Some(received),
            ..mat()
        });
        shop.tell(SALE, completed());
        let found: Vec<_> = movements(&shop)
            .iter()
            .map(|row| (row.0.to_owned(), row.1))
            .collect();
        let expected = expected
            .into_iter()
            .map(|(id, amount)| (id.to_owned(), amount));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{taken:?}");
        assert_eq!(balance(&shop, Group::Payments), (3000, 3000));
    }
}

#[test]
fn a_refund_takes_what_goes_back_and_nothing_once_it_has_failed() {
    let mut shop = Shop::selling(mat());
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "pending", 1000));
    shop.tell(SALE + 1, refunded("fre_2", "failed", 500));
    assert_eq!(transactions(&shop).len(), 1);
    shop.tell(SALE + 2, refunded("fre_1", "succeeded", 1000));
    assert_eq!(movements(&shop)[1..], [("fre_1-refund", -1000, DAY, false)]);
    assert_eq!(balance(&shop, Group::Refunds), (2000, -1000));
    shop.tell(SALE + 3, refunded("fre_1", "failed", 1000));
    assert_eq!(movements(&shop)[1..], [("fre_1-refund", -1000, DAY, true)]);
    assert_eq!(balance(&shop, Group::Refunds), (3000, 0));
}

#[test]
fn a_refund_that_only_releases_an_authorization_moves_nothing() {
    let mut sale = mat();
    let payment = sale.payments.get_mut(&id("fpi_1")).unwrap();
    payment.received = Some(2000);
    let mut shop = Shop::selling(sale);
    shop.tell(SALE, completed());
    shop.tell(SALE + 1, refunded("fre_1", "succeeded", 1000));
    assert_eq!(balance(&shop, Group::Refunds), (2000, 0));
}

#[test]
fn a_dispute_takes_its_amount_once_the_money_is_gone_until_it_is_back() {
    use DisputeFunds::{Reinstated, Withdrawn};
    for (news, expected) in [
        (vec![("needs_response", None)], None),
        (vec![("warning_needs_response", None)], None),
        (vec![("lost", None)], Some((-1000, false))),
        (
            vec![("needs_response", Some(Withdrawn))],
            Some((-1000, false)),
        ),
        (
            vec![
                ("needs_response", Some(Withdrawn)),
                ("won", Some(Reinstated)),
            ],
            Some((-1000, true)),
        ),
        (vec![("lost", None), ("won", None)], Some((-1000, true))),
    ] {
        let mut shop = Shop::selling(mat());
        shop.tell(SALE, completed());
        for (second, (word, funds)) in (SALE + 1..).zip(&news) {
            let change = Change::Dispute(dispute_news("fdsp_1", word, *funds));
            shop.tell(second, change);
        }
        let lines = movements(&shop);
        let lines = lines.iter().filter(|line| line.0 == "fdsp_1-dispute");
        let found: Vec<_> = lines.map(|line| (line.1, line.3)).collect();
        assert_eq!(found, Vec::from_iter(expected), "{news:?}");
    }
}
