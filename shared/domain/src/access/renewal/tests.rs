use super::*;
use crate::{
    access::subscription::InvoiceEvent,
    fulfillment::testing::{DAY, SALE, at, bill, line},
    sale::statement::Totals,
};
use proptest::prelude::*;

const MONTH: i64 = 30 * DAY;

fn period(start: i64, end: i64) -> Period {
    Period {
        start: at(start),
        end: at(end),
    }
}

#[test]
fn the_period_is_the_invoices_unless_that_has_passed() {
    let turn = SALE + MONTH;
    let (past, next) = (period(SALE, turn), period(turn, turn + MONTH));
    let later = period(turn + MONTH, turn + 2 * MONTH);
    let of = |stated: (i64, i64), created_at: Option<i64>, paid_at: i64, current| {
        let bill = Bill {
            created_at: created_at.map(at),
            ..bill(InvoiceEvent::Paid, 4999, stated)
        };
        covered(&bill, at(paid_at), current)
    };
    let ahead = (turn, turn + MONTH);
    let behind = (SALE, turn);
    for current in [None, Some(past), Some(next), Some(later)] {
        assert_eq!(of(ahead, None, turn + 60, current), Some(next));
        // It was paid after its end, and made before.
        assert_eq!(of(ahead, Some(turn), turn + 2 * MONTH, current), Some(next));
    }
    for stated in [behind, (turn, turn)] {
        for (current, expected) in [
            (Some(next), Some(next)),
            (Some(past), None),
            (Some(later), None),
            (None, None),
        ] {
            assert_eq!(of(stated, None, turn, current), expected, "{stated:?}");
            assert_eq!(of(stated, Some(turn), turn + 3 * DAY, current), expected);
        }
    }
    let silent = Bill {
        period_start: None,
        period_end: None,
        ..bill(InvoiceEvent::Paid, 4999, behind)
    };
    assert_eq!(covered(&silent, at(turn + 60), Some(next)), Some(next));
    assert_eq!(covered(&silent, at(turn + 60), Some(later)), None);
}

fn item(name: &str, total: i64, changed_at: Option<i64>) -> Recurring {
    Recurring {
        line: line(name, 1, total, None),
        changed_at: changed_at.map(at),
    }
}

fn totals(items: &[Recurring], paid: i64) -> Vec<i64> {
    let lines = lines(items, paid, at(SALE));
    lines.iter().map(|line| line.amounts.total).collect()
}

#[test]
fn an_item_that_changed_after_the_payment_is_not_what_was_paid_for() {
    let changed = |since: i64| [item("video", 4999, Some(SALE + since))];
    for since in [-DAY, 0] {
        assert_eq!(totals(&changed(since), 1999), [1999], "{since}");
    }
    assert!(totals(&changed(1), 1999).is_empty());
    assert_eq!(
        totals(&changed(60), 4999),
        [4999],
        "written again as it renewed"
    );
    assert!(totals(&changed(DAY), 4999).is_empty());
}

#[test]
fn an_item_without_a_price_costs_what_was_paid_if_it_is_the_only_one() {
    let mut bare = item("gym", 0, None);
    bare.line.unit_amount = None;
    assert_eq!(totals(&[bare.clone()], 4999), [4999]);
    assert_eq!(totals(&[bare, item("mat", 999, None)], 4999), [0, 999]);
}

proptest! {
    #[test]
    fn lines_never_claim_more_than_was_paid(
        prices in prop::collection::vec(0_i64..10_000, 0..5),
        paid in 1_i64..20_000,
    ) {
        let items: Vec<_> = prices.iter().map(|price| item("gym", *price, None)).collect();
        let lines = lines(&items, paid, at(SALE));
        let sum: i64 = lines.iter().map(|line| line.amounts.total).sum();
        prop_assert_eq!(sum, prices.iter().sum::<i64>().min(paid));
        for line in lines {
            let Totals { subtotal, discount, total, .. } = line.amounts;
            prop_assert!(discount >= 0 && total >= 0 && subtotal - discount == total);
        }
    }
}
