use super::*;
use crate::{
    fulfillment::testing::id,
    resource::{
        invoice::{Attempt, InvoiceFacts},
        testing::{invoice, noon},
    },
    values::facts::Stated,
};
use proptest::{collection::vec, prelude::*};

/// An open invoice.
fn open(customer: &str, outstanding: i64, due_at: Timestamp) -> InvoiceFacts {
    InvoiceFacts {
        number: Some(format!("2026-{outstanding}")),
        status: Some("open".into()),
        customer_id: Some(id(customer)),
        currency: Some(Currency::USD),
        outstanding: Some(outstanding),
        due_at: Some(due_at),
        ..InvoiceFacts::default()
    }
}

fn failed(day: i8, facts: InvoiceFacts) -> InvoiceFacts {
    let attempt = Stated {
        at: Some(noon(3, day)),
        ..Stated::from(Attempt {
            status: "failed".to_owned(),
            failed: true,
        })
    };
    InvoiceFacts {
        attempts: BTreeMap::from([(id("invpa_1"), attempt)]),
        ..facts
    }
}

/// A fictional month.
fn month() -> Vec<Invoice> {
    let all = [
        open("cus_ada", 12_000, noon(4, 15)),
        failed(28, open("cus_ada", 4_900, noon(4, 10))),
        open("cus_bob", 25_050, noon(3, 20)),
        InvoiceFacts {
            blocked: Some(true),
            ..open("cus_bob", 7_000, noon(2, 10))
        },
        InvoiceFacts {
            status: Some("partially_paid".into()),
            ..open("cus_cleo", 3_333, noon(1, 5))
        },
        InvoiceFacts {
            currency: Some(Currency::new("EUR").unwrap()),
            ..open("cus_dan", 9_900, noon(1, 20))
        },
        InvoiceFacts {
            status: Some("paid".into()),
            outstanding: Some(0),
            ..failed(5, open("cus_dan", 8_800, noon(3, 1)))
        },
        InvoiceFacts {
            outstanding: None,
            ..open("cus_eve", 100, noon(3, 1))
        },
    ];
    let named = all.iter().enumerate();
    named
        .map(|(n, facts)| invoice(&format!("inv_{n}"), std::slice::from_ref(facts)))
        .collect()
}

#[test]
fn a_month_is_readable() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let receivables = receivables(&month(), noon(3, 31), zone);
    insta::assert_snapshot!(receivables.text());
}

#[test]
fn the_age_of_a_debt_counts_the_days_after_its_due_date() {
    for (days, age) in [
        (-5, 0),
        (0, 0),
        (1, 1),
        (30, 1),
        (31, 2),
        (60, 2),
        (61, 3),
        (90, 3),
        (91, 4),
        (400, 4),
    ] {
        let mut ages = Ages::default();
        ages.add(days, 7);
        assert_eq!((ages.0[age], ages.total()), (7, 7), "{days}");
    }
}

#[test]
fn the_calendar_of_the_zone_decides_whether_an_invoice_is_overdue() {
    // 31 March, 01:00 in UTC, is 30 March in New York.
    let at = noon(3, 31) - jiff::SignedDuration::from_hours(11);
    let all = [invoice("inv_1", &[open("cus_ada", 100, noon(3, 30))])];
    for (zone, ages) in [
        ("UTC", [0, 100, 0, 0, 0]),
        ("America/New_York", [100, 0, 0, 0, 0]),
    ] {
        let report = receivables(&all, at, TimeZone::get(zone).unwrap());
        assert_eq!(report.debts[&Currency::USD].total, Ages(ages), "{zone}");
    }
}

#[test]
fn an_invoice_without_a_due_date_or_a_customer_is_counted() {
    let facts = InvoiceFacts {
        customer_id: None,
        due_at: None,
        ..open("cus_ada", 100, noon(1, 1))
    };
    let report = receivables(&[invoice("inv_1", &[facts])], noon(3, 31), TimeZone::UTC);
    let ages = Ages([100, 0, 0, 0, 0]);
    let customers = &report.debts[&Currency::USD].customers;
    assert_eq!(customers, &BTreeMap::from([(None, ages)]));
    assert_eq!(report.reminders, []);
}

proptest! {
    #[test]
    fn the_sums_add_up(all in vec((0_usize..3, 0_usize..2, -1_i64..500, -10_i8..10), 0..12)) {
        let currencies = [Currency::USD, Currency::new("EUR").unwrap()];
        let facts = |(customer, currency, outstanding, month): (usize, usize, i64, i8)| {
            InvoiceFacts {
                currency: Some(currencies[currency]),
                due_at: Some(noon(month.rem_euclid(12) + 1, 1)),
                ..open(&format!("cus_{customer}"), outstanding, noon(1, 1))
            }
        };
        let named = all.iter().enumerate();
        let invoices: Vec<_> = named
            .map(|(n, parts)| invoice(&format!("inv_{n}"), &[facts(*parts)]))
            .collect();
        let report = receivables(&invoices, noon(7, 15), TimeZone::UTC);
        for (n, currency) in currencies.into_iter().enumerate() {
            let expected: i64 = all
                .iter()
                .filter(|parts| parts.1 == n)
                .map(|parts| parts.2.max(0))
                .sum();
            let debts = report.debts.get(&currency).cloned().unwrap_or_default();
            prop_assert_eq!(debts.total.total(), expected);
            for age in 0..5 {
                let sum: i64 = debts.customers.values().map(|ages| ages.0[age]).sum();
                prop_assert_eq!(sum, debts.total.0[age]);
            }
        }
    }
}
