//! The operators' reports about money, sessions and merchants, in memory.

use domain::{
    resource::{
        Resource, ResourceChange,
        checkout_session::{CheckoutSessionFacts, ContactEmail},
        invoice::InvoiceFacts,
        journal,
        merchant::{MerchantFacts, Readiness, Requirements},
        payment_method::PaymentMethodFacts,
        transaction::{Transaction, TransactionFacts},
    },
    values::{
        ids::{CheckoutSessionId, MerchantId, PaymentMethodId, TransactionId},
        money::Currency,
    },
};
use jiff::{civil, tz::TimeZone};
use kit::{dice::Dice, prelude::*};
use operator::report;

type Arrival = (ResourceChange, Timestamp);

/// Noon in UTC of a day of March 2026.
fn noon(day: i8) -> Timestamp {
    let noon = civil::date(2026, 3, day).at(12, 0, 0, 0);
    TimeZone::UTC.to_timestamp(noon).unwrap()
}

/// A world that has learned these changes, in their order.
fn learned<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>) -> World {
    let world = World::at(noon(1));
    let provider = "acme".parse().unwrap();
    let mut kept = world.kept();
    for (change, at) in arrivals {
        let known = kept.resources.get(&change.id());
        let row = Resource::learn(known, &provider, change, *at);
        if row.is_news(known) {
            kept.resources.insert(change.id(), row.next());
        }
    }
    drop(kept);
    world
}

fn movement(n: i8, status: &str, occurred_at: Timestamp) -> ResourceChange {
    let facts = TransactionFacts {
        mode: None,
        movement: if n % 3 == 0 { "refund" } else { "payment" }.into(),
        status: status.into(),
        currency: if n % 5 == 0 {
            Currency::new("eur").unwrap()
        } else {
            Currency::USD
        },
        amount: if n % 3 == 0 {
            -1000
        } else {
            1000 + i64::from(n)
        },
        fee: Some(29),
        net: None,
        occurred_at,
        available_at: None,
        order_id: Some(OrderId::new(format!("ord_{n}")).unwrap()),
        payout_id: None,
        related: None,
    };
    let id = TransactionId::new(format!("btxn_{n}")).unwrap();
    ResourceChange::Transaction {
        id,
        facts: facts.into(),
    }
}

/// Each movement is announced on another day and a day too early, then corrected; every seventh fails in the end.
fn history() -> Vec<Arrival> {
    let of = |n: i8| {
        let day = 2 + n % 27;
        let end = if n % 7 == 0 { "failed" } else { "available" };
        [
            (movement(n, "pending", noon(day - 1)), noon(day)),
            (movement(n, end, noon(day)), noon(day + 1)),
        ]
    };
    (0..60).flat_map(of).collect()
}

fn transactions(world: &World) -> Vec<Transaction> {
    let kept = world.kept();
    let rows = kept.resources.values();
    let row = |row: &Resource| match row {
        Resource::Transaction(row) => Some((**row).clone()),
        _ => None,
    };
    rows.filter_map(row).collect()
}

#[tokio::test]
async fn the_journal_of_a_shuffled_history_over_many_pages_is_the_journal_of_the_true_one() {
    let history = history();
    let truth = transactions(&learned(&history));
    let zone = TimeZone::UTC;
    let periods = [
        report::month(civil::date(2026, 3, 9), &zone).unwrap(),
        report::day(civil::date(2026, 3, 10), &zone).unwrap(),
    ];
    for seed in 0..20 {
        let mut dice = Dice::of(seed, 0);
        let mut arrivals = history.clone();
        // Some come twice.
        arrivals.extend((0..20).map(|_| history[dice.place(history.len())].clone()));
        for n in (1..arrivals.len()).rev() {
            arrivals.swap(n, dice.place(n + 1));
        }
        let world = learned(&arrivals);
        for period in &periods {
            let mut read = Vec::new();
            let mut progress = |rows| read.push(rows);
            let found = report::journal(&world, period.clone(), &mut progress).await;
            let expected = journal::journal(&truth, period.clone());
            assert_eq!(found, Ok(expected), "seed {seed}");
            assert!(read.len() > 2 && read.is_sorted(), "{read:?}");
            let before = truth
                .iter()
                .filter(|row| row.occurred_at() < Some(period.end));
            assert_eq!(read.last(), Some(&before.count()));
        }
    }
    let day = journal::journal(&truth, periods[1].clone());
    assert!(day.books.values().all(|book| book.opening != 0));
    assert!(day.books.values().any(|book| !book.lines.is_empty()));
}

#[test]
fn a_period_ends_at_midnight_of_its_zone() {
    let zone = TimeZone::fixed(jiff::tz::offset(-5));
    for (period, expected) in [
        (
            report::day(civil::date(2026, 12, 31), &zone),
            ("2026-12-31T05:00:00Z", "2027-01-01T05:00:00Z"),
        ),
        (
            report::month(civil::date(2026, 2, 14), &zone),
            ("2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"),
        ),
    ] {
        let period = period.unwrap();
        let found = (period.start.to_string(), period.end.to_string());
        assert_eq!(found, (expected.0.to_owned(), expected.1.to_owned()));
    }
    assert!(report::month(civil::Date::MAX, &zone).is_err());
}

/// A row that moves to a later place while its list is read is in two pages.
#[tokio::test]
async fn a_transaction_that_moves_while_its_list_is_read_counts_once() {
    let world = learned(&history());
    let period = report::month(civil::date(2026, 3, 9), &TimeZone::UTC).unwrap();
    let other = world.clone();
    let mut progress = |rows| {
        if rows < 10 {
            let mut kept = other.kept();
            let (change, at) = (movement(1, "available", noon(28)), noon(30));
            let known = kept.resources.get(&change.id()).cloned();
            let row = Resource::learn(known.as_ref(), &"acme".parse().unwrap(), &change, at);
            kept.resources.insert(change.id(), row.next());
        }
    };
    let found = report::journal(&world, period.clone(), &mut progress).await;
    let expected = journal::journal(&transactions(&world), period);
    assert_eq!(found, Ok(expected));
}

#[tokio::test]
async fn receivables_sessions_and_methods_are_read_from_all_pages() {
    let invoice = |n: i8| {
        let facts = InvoiceFacts {
            status: Some(if n % 2 == 0 { "open" } else { "paid" }.into()),
            outstanding: Some(100),
            currency: Some(Currency::USD),
            due_at: Some(noon(n)),
            ..InvoiceFacts::default()
        };
        let id = InvoiceId::new(format!("inv_{n}")).unwrap();
        let facts = Box::new(facts.into());
        (ResourceChange::Invoice { id, facts }, noon(1))
    };
    let session = |n: i8| {
        let facts = CheckoutSessionFacts {
            status: Some(if n % 2 == 0 { "expired" } else { "paid" }.into()),
            contact: Some(ContactEmail("pat@example.com".to_owned())),
            contact_until: Some(noon(20)),
            ..CheckoutSessionFacts::default()
        };
        let id = CheckoutSessionId::new(format!("cs_{n}")).unwrap();
        let facts = Box::new(facts.into());
        (ResourceChange::CheckoutSession { id, facts }, noon(n))
    };
    let customer_id = CustomerId::new("cus_1").unwrap();
    let method = |n: i8| {
        let facts = PaymentMethodFacts {
            customer_id: (n % 2 == 0).then(|| customer_id.clone()),
            ..PaymentMethodFacts::default()
        };
        let id = PaymentMethodId::new(format!("pm_{n}")).unwrap();
        let facts = facts.into();
        (ResourceChange::PaymentMethod { id, facts }, noon(30 - n))
    };
    let arrivals: Vec<_> = (2..28)
        .flat_map(|n| [invoice(n), session(n), method(n)])
        .collect();
    let (world, mut pages) = (learned(&arrivals), 0);
    let mut progress = |_| pages += 1;

    let owed = report::receivables(&world, noon(15), TimeZone::UTC, &mut progress).await;
    let owed = owed.unwrap();
    assert_eq!(owed.debts[&Currency::USD].total.total(), 1300);
    assert_eq!(owed.reminders.len(), 7, "from the 2nd to the 14th");
    let found = report::recoverable(&world, noon(19), &mut progress).await;
    let found = found.unwrap();
    let ids: Vec<_> = found.iter().map(|line| line.session_id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[12]), (13, "cs_26", "cs_2"));
    assert!(found.iter().all(|line| line.contact.is_some()));
    let later = report::recoverable(&world, noon(20), &mut progress).await;
    assert!(later.unwrap().iter().all(|line| line.contact.is_none()));
    let methods = report::payment_methods(&world, &customer_id, &mut progress).await;
    let methods = methods.unwrap();
    let ids: Vec<_> = methods.iter().map(|method| method.id.as_str()).collect();
    assert_eq!((ids.len(), ids[0], ids[12]), (13, "pm_26", "pm_2"));
    assert_eq!(pages, 8, "two pages each");
}

#[tokio::test]
async fn a_merchant_is_reported_with_what_it_must_still_do() {
    let id = MerchantId::new("mer_1").unwrap();
    let facts = MerchantFacts {
        payments: Some(Readiness {
            status: "blocked".into(),
            reason: Some("requirements_past_due".to_owned()),
        }),
        requirements: Some(Requirements {
            past_due: ["tax id".to_owned()].into(),
            currently_due: ["bank account".to_owned()].into(),
            ..Requirements::default()
        }),
        ..MerchantFacts::default()
    };
    let change = ResourceChange::Merchant {
        id: id.clone(),
        facts: Box::new(facts.into()),
    };
    let world = learned(&[(change, noon(1))]);
    let found = report::merchant(&world, &id).await.unwrap().unwrap();
    assert_eq!(
        found.to_string(),
        "merchant mer_1 cannot take payments: payments are blocked (requirements_past_due)\n\
         missing: tax id\nmissing: bank account"
    );
    assert_eq!(world.kept().calls, ["resources.resource"]);
    let none = MerchantId::new("mer_2").unwrap();
    assert_eq!(report::merchant(&world, &none).await, Ok(None));
}
