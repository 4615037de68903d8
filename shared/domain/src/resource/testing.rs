//! For tests: rows of a fictional provider, learned from facts.

use crate::{
    fulfillment::testing::id,
    resource::{
        Resource, ResourceChange,
        checkout_session::{CheckoutSession, CheckoutSessionFacts},
        invoice::{Invoice, InvoiceFacts},
        transaction::{Transaction, TransactionFacts},
    },
    values::{facts::Stated, money::Currency},
};
use jiff::{Timestamp, civil, tz::TimeZone};

/// Noon in UTC of a day of 2026.
pub(super) fn noon(month: i8, day: i8) -> Timestamp {
    let noon = civil::date(2026, month, day).at(12, 0, 0, 0);
    TimeZone::UTC.to_timestamp(noon).unwrap()
}

/// A payment of a day of March 2026, available, without a fee.
pub(super) fn payment(day: i8, amount: i64) -> TransactionFacts {
    TransactionFacts {
        mode: None,
        movement: "payment".into(),
        status: "available".into(),
        currency: Currency::USD,
        amount,
        fee: None,
        net: None,
        occurred_at: noon(3, day),
        available_at: None,
        order_id: None,
        payout_id: None,
        related: None,
    }
}

/// The row after these changes, in their order.
pub(super) fn learned(changes: &[(ResourceChange, Timestamp)]) -> Resource {
    let provider = "acme".parse().unwrap();
    let next = |known: Option<Resource>, (change, at): &(ResourceChange, Timestamp)| {
        Some(Resource::learn(known.as_ref(), &provider, change, *at))
    };
    changes.iter().fold(None, next).unwrap()
}

pub(super) fn transaction(name: &str, facts: TransactionFacts) -> Transaction {
    let at = facts.occurred_at;
    let (id, facts) = (id(name), facts.into());
    match learned(&[(ResourceChange::Transaction { id, facts }, at)]) {
        Resource::Transaction(row) => *row,
        other => panic!("{other:?}"),
    }
}

/// The row after these facts, each with the version of its place.
pub(super) fn invoice(name: &str, facts: &[InvoiceFacts]) -> Invoice {
    let mut invoice = Invoice::new(id(name), "acme".parse().unwrap());
    for (version, facts) in (1..).zip(facts) {
        let facts = Stated {
            version,
            ..facts.clone().into()
        };
        invoice.learn(&facts, noon(3, 1));
    }
    invoice
}

/// The row after these facts, one at each noon of March 2026.
pub(super) fn session(name: &str, facts: &[CheckoutSessionFacts]) -> CheckoutSession {
    let mut session = CheckoutSession::new(id(name), "acme".parse().unwrap());
    for (day, facts) in (1..).zip(facts) {
        let facts = Stated::from(facts.clone());
        session.learn(&facts, facts.stamp(noon(3, day)));
    }
    session
}
