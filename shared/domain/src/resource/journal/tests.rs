use super::*;
use crate::{
    fulfillment::testing::id,
    resource::{
        Resource, ResourceChange,
        testing::{learned, noon, payment, transaction},
        transaction::TransactionFacts,
    },
};
use proptest::{collection::vec, prelude::*};

fn march() -> Range<Timestamp> {
    let midnight = |month| noon(month, 1) - jiff::SignedDuration::from_hours(12);
    midnight(3)..midnight(4)
}

/// A movement of a day of March.
fn moved(day: i8, movement: &str, amount: i64, fee: i64) -> TransactionFacts {
    TransactionFacts {
        movement: movement.into(),
        fee: Some(fee),
        net: Some(amount - fee),
        ..payment(day, amount)
    }
}

fn of_order(name: &str, facts: TransactionFacts) -> TransactionFacts {
    TransactionFacts {
        order_id: Some(id(name)),
        ..facts
    }
}

/// A fictional month.
fn month() -> Vec<Transaction> {
    let pending = |facts| TransactionFacts {
        status: "pending".into(),
        ..facts
    };
    let all = [
        TransactionFacts {
            occurred_at: noon(2, 20),
            ..of_order("ord_1000", moved(1, "payment", 30_000, 900))
        },
        of_order("ord_1001", moved(2, "payment", 10_000, 320)),
        of_order("ord_1002", moved(3, "payment", 4_999, 175)),
        TransactionFacts {
            status: "failed".into(),
            ..of_order("ord_1003", moved(3, "payment", 7_500, 250))
        },
        TransactionFacts {
            fee: Some(-250),
            ..of_order("ord_1003", moved(4, "payment", 7_500, 250))
        },
        TransactionFacts {
            payout_id: Some(id("po_1")),
            ..moved(6, "payout", -29_100, 0)
        },
        of_order("ord_1001", moved(9, "refund", -2_500, 0)),
        moved(10, "reserve_hold", -1_000, 0),
        of_order("ord_1002", moved(12, "dispute", -4_999, 1_500)),
        TransactionFacts {
            currency: Currency::new("EUR").unwrap(),
            ..of_order("ord_1004", moved(13, "payment", 8_000, 260))
        },
        moved(16, "merchant_billing_payment", -2_900, 0),
        of_order("ord_1002", moved(20, "dispute_reversal", 4_999, -1_500)),
        TransactionFacts {
            payout_id: Some(id("po_2")),
            ..moved(21, "payout", -9_000, 0)
        },
        moved(24, "reserve_release", 1_000, 0),
        pending(of_order("ord_1005", moved(30, "payment", 12_000, 380))),
        TransactionFacts {
            status: "superseded".into(),
            ..moved(31, "adjustment", -100, 0)
        },
        moved(31, "adjustment", -75, 0),
        TransactionFacts {
            occurred_at: noon(4, 1),
            ..moved(1, "payment", 99_999, 0)
        },
    ];
    let named = all.into_iter().enumerate();
    named
        .map(|(n, facts)| transaction(&format!("btxn_{n:02}"), facts))
        .collect()
}

#[test]
fn a_month_is_readable() {
    let journal = journal(&month(), march());
    insta::assert_snapshot!(journal.text(&TimeZone::UTC));
}

#[test]
fn a_movement_at_the_end_of_a_period_belongs_to_the_next_one() {
    let row = transaction("btxn_1", payment(5, 100));
    let book = |from, to| {
        let journal = journal([&row], noon(3, from)..noon(3, to));
        journal.books.into_values().next()
    };
    let seen = |book: Option<Book>| book.map(|book| (book.opening, book.lines.len(), book.closing));
    assert_eq!(seen(book(1, 5)), None);
    assert_eq!(seen(book(5, 6)), Some((0, 1, 100)));
    assert_eq!(seen(book(6, 7)), Some((100, 0, 100)));
}

const MOVEMENTS: [&str; 6] = [
    "payment",
    "refund",
    "payout",
    "dispute",
    "merchant_billing_payment",
    "new",
];

/// A history of up to four transactions: which one, its second fact's status, and the day of the report.
fn history() -> impl Strategy<Value = Vec<(ResourceChange, Timestamp)>> {
    const STATUSES: [&str; 4] = ["pending", "available", "failed", "superseded"];
    let report = (0_usize..4, 0_usize..4, 1_i8..28);
    let amounts = vec((1_i8..28, 0_usize..6, -500_i64..500, -20_i64..20), 4);
    (amounts, vec(report, 1..10)).prop_map(|(amounts, reports)| {
        let change = |(which, status, day): (usize, usize, i8)| {
            let (on, movement, amount, fee) = amounts[which];
            let facts = TransactionFacts {
                status: STATUSES[status].into(),
                ..moved(on, MOVEMENTS[movement], amount, fee)
            };
            let id = id(&format!("btxn_{which}"));
            let facts = facts.into();
            (ResourceChange::Transaction { id, facts }, noon(3, day))
        };
        reports.into_iter().map(change).collect()
    })
}

/// The rows after a history of changes.
fn rows(history: &[(ResourceChange, Timestamp)]) -> Vec<Transaction> {
    let mut changes: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (change, at) in history {
        let of_row = changes.entry(change.id()).or_default();
        of_row.push((change.clone(), *at));
    }
    let rows = changes.into_values().map(|changes| learned(&changes));
    rows.map(|row| match row {
        Resource::Transaction(row) => *row,
        other => panic!("{other:?}"),
    })
    .collect()
}

proptest! {
    #[test]
    fn opening_and_movements_add_up_to_closing(history in history(), from in 1_i8..28, days in 0_i8..28) {
        let to = (from + days).min(28);
        let rows = rows(&history);
        let journal = journal(&rows, noon(3, from)..noon(3, to));
        for book in journal.books.values() {
            let effective = book.lines.iter().filter(|line| !line.is_void);
            let net: i64 = effective.map(|line| line.entry.net).sum();
            prop_assert_eq!(book.opening + net, book.closing);
            prop_assert_eq!(book.totals.values().sum::<i64>(), net);
        }
        // The closing balance, counted without the journal.
        let until = rows.iter().filter(|row| !row.is_void()).filter_map(|row| row.entry.get());
        let until = until.filter(|entry| entry.occurred_at < noon(3, to));
        let closing = journal.books.values().map(|book| book.closing).sum::<i64>();
        prop_assert_eq!(until.map(|entry| entry.net).sum::<i64>(), closing);
    }

    #[test]
    fn the_journal_of_a_shuffled_and_repeated_history_is_that_of_the_true_one(
        (history, shuffled) in history().prop_flat_map(|history| {
            let twice = [&history[..], &history[..]].concat();
            (Just(history), Just(twice).prop_shuffle())
        }),
        turned in any::<bool>(),
    ) {
        let mut rows_of_shuffled = rows(&shuffled);
        if turned {
            rows_of_shuffled.reverse();
        }
        prop_assert_eq!(journal(&rows(&history), march()), journal(&rows_of_shuffled, march()));
    }
}
