//! The rules that hold for every kind of row.

use super::{
    checkout_session::{ContactEmail, EndReason, SessionStatus},
    invoice::{Attempt, InvoiceStatus},
    merchant::{Capability, Readiness, ReadinessStatus, Requirements},
    payment_method::{PaymentMethodStatus, Usage},
    testing::{learned, payment},
    transaction::{Movement, TransactionStatus},
    *,
};
use crate::{
    fulfillment::testing::{at, id},
    values::{ids::BadId, mode::Mode},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::collections::BTreeMap;

/// A word of a few, one of them unknown.
fn word<W: From<&'static str> + Clone + std::fmt::Debug>(
    known: &'static [&'static str],
) -> impl Strategy<Value = W> {
    let all = [known, &["new", "newer"]].concat();
    select(all).prop_map(W::from)
}

fn stated<T: std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Stated<T>> {
    let second = option::of(0_i64..3);
    let parts = (0_u64..2, second, 0_u8..2, value);
    parts
        .prop_map(|(version, second, rank, value)| Stated {
            at: second.map(at),
            version,
            rank,
            value,
        })
        .boxed()
}

fn mode() -> impl Strategy<Value = Option<Mode>> {
    option::of(select(vec![Mode::Live, Mode::Test]))
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    option::of((0_i64..3).prop_map(at))
}

/// The id of one of two things.
fn other<T: TryFrom<String, Error = BadId> + Clone + std::fmt::Debug + 'static>()
-> impl Strategy<Value = Option<T>> {
    option::of(select(vec![0, 1]).prop_map(|n| id::<T>(&format!("id_{n}"))))
}

fn transactions() -> BoxedStrategy<ResourceChange> {
    let words = (
        word::<Movement>(&["payment", "refund"]),
        word::<TransactionStatus>(&["pending", "available", "failed"]),
    );
    let amounts = (0_i64..3, option::of(-1_i64..2), option::of(0_i64..3));
    let facts = (words, amounts, mode(), time(), other(), other()).prop_map(
        |((movement, status), (amount, fee, net), mode, available_at, order_id, payout_id)| {
            TransactionFacts {
                mode,
                movement,
                status,
                fee,
                net,
                available_at,
                order_id,
                payout_id,
                ..payment(1, amount)
            }
        },
    );
    stated(facts)
        .prop_map(|facts| ResourceChange::Transaction {
            id: id("btxn_1"),
            facts,
        })
        .boxed()
}

fn invoices() -> BoxedStrategy<ResourceChange> {
    let attempt = (select(vec!["failed", "new"]), any::<bool>());
    let attempt = attempt.prop_map(|(status, failed)| Attempt {
        status: status.to_owned(),
        failed,
    });
    let attempts = proptest::collection::btree_map(
        select(vec!["invpa_1", "invpa_2"]).prop_map(id),
        stated(attempt),
        0..3,
    );
    let status = option::of(word::<InvoiceStatus>(&["draft", "open", "paid"]));
    let blocked = option::of(any::<bool>());
    let facts = (
        status,
        option::of(0_i64..3),
        time(),
        blocked,
        attempts,
        other(),
        mode(),
    );
    let facts = facts.prop_map(
        |(status, outstanding, due_at, blocked, attempts, customer_id, mode)| InvoiceFacts {
            mode,
            status,
            customer_id,
            outstanding,
            due_at,
            blocked,
            attempts,
            ..InvoiceFacts::default()
        },
    );
    stated(facts)
        .prop_map(|facts| ResourceChange::Invoice {
            id: id("inv_1"),
            facts: facts.into(),
        })
        .boxed()
}

fn payment_methods() -> BoxedStrategy<ResourceChange> {
    let status = option::of(word::<PaymentMethodStatus>(&[
        "active", "failed", "removed",
    ]));
    let usage = option::of(word::<Usage>(&["on_session", "off_session"]));
    let facts = (status, usage, other(), mode()).prop_map(|(status, usage, customer_id, mode)| {
        PaymentMethodFacts {
            mode,
            customer_id,
            status,
            usage,
            ..PaymentMethodFacts::default()
        }
    });
    stated(facts)
        .prop_map(|facts| ResourceChange::PaymentMethod {
            id: id("pm_1"),
            facts,
        })
        .boxed()
}

fn merchants() -> BoxedStrategy<ResourceChange> {
    let status = || word::<ReadinessStatus>(&["ready", "blocked"]);
    let readiness = move || {
        option::of(status().prop_map(|status| Readiness {
            status,
            reason: None,
        }))
    };
    let capability = status().prop_map(|status| Capability {
        domain: None,
        status,
    });
    let capabilities = proptest::collection::btree_map(
        select(vec!["card".to_owned(), "debit".to_owned()]),
        stated(capability),
        0..3,
    );
    let deadline = time().prop_map(|deadline| Requirements {
        deadline,
        ..Requirements::default()
    });
    let facts = (
        readiness(),
        readiness(),
        option::of(deadline),
        capabilities,
        mode(),
    );
    let facts =
        facts.prop_map(
            |(payments, payouts, requirements, capabilities, mode)| MerchantFacts {
                mode,
                payments,
                payouts,
                requirements,
                next_actions: None,
                capabilities,
            },
        );
    stated(facts)
        .prop_map(|facts| ResourceChange::Merchant {
            id: id("mer_1"),
            facts: facts.into(),
        })
        .boxed()
}

fn checkout_sessions() -> BoxedStrategy<ResourceChange> {
    let words = (
        option::of(word::<SessionStatus>(&["open", "paid", "expired"])),
        option::of(word::<EndReason>(&["expired", "superseded"])),
    );
    let contact = option::of(
        select(vec!["a@example.com", "b@example.com"])
            .prop_map(|email| ContactEmail(email.to_owned())),
    );
    let facts = (words, contact, other(), time(), time(), mode());
    let facts = facts.prop_map(
        |((status, reason), contact, successor, contact_until, ended_at, mode)| {
            CheckoutSessionFacts {
                mode,
                status,
                reason,
                successor,
                contact,
                contact_until,
                ended_at,
                ..CheckoutSessionFacts::default()
            }
        },
    );
    stated(facts)
        .prop_map(|facts| ResourceChange::CheckoutSession {
            id: id("cs_1"),
            facts: facts.into(),
        })
        .boxed()
}

type Arrivals = Vec<(ResourceChange, Timestamp)>;

/// A history, and the same one twice in another order.
fn histories(change: BoxedStrategy<ResourceChange>) -> impl Strategy<Value = (Arrivals, Arrivals)> {
    let arrival = (change, (0_i64..3).prop_map(at));
    vec(arrival, 1..6).prop_flat_map(|history| {
        let twice = [&history[..], &history[..]].concat();
        (Just(history), Just(twice).prop_shuffle())
    })
}

/// The first status of a row that is known, by kind.
fn is_status_known(row: &Resource) -> Option<bool> {
    match row {
        Resource::Transaction(row) => row.status.get().map(TransactionStatus::is_known),
        Resource::Invoice(row) => row.status.get().map(InvoiceStatus::is_known),
        Resource::PaymentMethod(row) => row.status.get().map(PaymentMethodStatus::is_known),
        Resource::Merchant(row) => row.payments.get().map(|known| known.status.is_known()),
        Resource::CheckoutSession(row) => row.status.get().map(SessionStatus::is_known),
    }
}

/// Any order and repetition ends in one row, which keeps a known status and is the same after it is stored.
fn check(history: &Arrivals, shuffled: &Arrivals) -> Result<(), TestCaseError> {
    let row = learned(history);
    prop_assert_eq!(&learned(shuffled), &row);
    let mut words = history
        .iter()
        .map(|arrival| is_status_known(&learned(std::slice::from_ref(arrival))));
    let is_any_known = words.any(|is_known| is_known == Some(true));
    prop_assert_eq!(is_status_known(&row) == Some(true), is_any_known);
    let stored = serde_json::to_string(&row).unwrap();
    prop_assert_eq!(serde_json::from_str::<Resource>(&stored).unwrap(), row);
    Ok(())
}

proptest! {
    #[test]
    fn a_transaction_is_the_same_in_any_order((one, other) in histories(transactions())) {
        check(&one, &other)?;
    }

    #[test]
    fn an_invoice_is_the_same_in_any_order((one, other) in histories(invoices())) {
        check(&one, &other)?;
    }

    #[test]
    fn a_payment_method_is_the_same_in_any_order((one, other) in histories(payment_methods())) {
        check(&one, &other)?;
    }

    #[test]
    fn a_merchant_is_the_same_in_any_order((one, other) in histories(merchants())) {
        check(&one, &other)?;
    }

    #[test]
    fn a_checkout_session_is_the_same_in_any_order((one, other) in histories(checkout_sessions())) {
        check(&one, &other)?;
    }
}

#[test]
fn the_key_of_a_row_names_its_thing() {
    for key in [
        "transaction#btxn_1",
        "invoice#inv_1",
        "payment_method#pm_1",
        "merchant#mer_1",
        "checkout_session#cs_1#2",
    ] {
        let id: ResourceId = key.parse().unwrap();
        assert_eq!((id.key().as_str(), id.to_string().as_str()), (key, key));
    }
    assert_eq!(
        ResourceId::Invoice(id("inv_1")).parts(),
        ("invoice", "inv_1")
    );
    for bad in ["invoice", "order#ord_1", "#inv_1"] {
        assert_eq!(bad.parse::<ResourceId>(), Err(BadResourceId::Kind), "{bad}");
    }
    let empty = Err(BadResourceId::Id(BadId::Empty));
    assert_eq!("invoice#".parse::<ResourceId>(), empty);
}

fn paid(name: &str) -> ResourceChange {
    ResourceChange::Transaction {
        id: id(name),
        facts: payment(1, 100).into(),
    }
}

#[test]
fn a_row_counts_its_writes_and_not_its_facts() {
    let known = learned(&[(paid("btxn_1"), at(0))]);
    assert_eq!((known.version(), known.is_news(None)), (0, true));
    let written = known.next();
    assert_eq!(written.version(), 1);
    let learn = |change| Resource::learn(Some(&written), written.provider(), &change, at(0));
    assert!(!learn(paid("btxn_1")).is_news(Some(&written)));
    // The row of another thing is not changed.
    let other = learn(paid("btxn_2"));
    assert_eq!(other.id(), ResourceId::Transaction(id("btxn_2")));
    assert_eq!(other.version(), 0);
}

/// An observation of that second.
fn observed(second: i64, status: &str) -> (ResourceChange, Timestamp) {
    let payments = Readiness {
        status: status.into(),
        reason: None,
    };
    let facts = MerchantFacts {
        payments: Some(payments),
        ..MerchantFacts::default()
    };
    let facts = Box::new(facts.into());
    let id = id("mer_1");
    (ResourceChange::Merchant { id, facts }, at(second))
}

#[test]
fn an_observation_without_a_change_is_no_news() {
    let known = learned(&[observed(1, "ready")]);
    for (later, is_news) in [
        (observed(1, "ready"), false),
        (observed(2, "ready"), false),
        (observed(0, "blocked"), false),
        (observed(2, "blocked"), true),
        // No longer permitted, although the known status stays.
        (observed(2, "new"), true),
        (observed(0, "new"), false),
    ] {
        let row = learned(&[observed(1, "ready"), later.clone()]);
        assert_eq!(row.is_news(Some(&known)), is_news, "{later:?}");
    }
}

#[test]
fn a_row_is_in_the_list_of_its_kind() {
    let list = |change: ResourceChange| learned(&[(change, at(5))]).list();
    let journal = ("journal".to_owned(), payment(1, 0).occurred_at);
    assert_eq!(list(paid("btxn_1")), Some(journal));

    let method = |customer_id| ResourceChange::PaymentMethod {
        id: id("pm_1"),
        facts: PaymentMethodFacts {
            customer_id,
            ..PaymentMethodFacts::default()
        }
        .into(),
    };
    let of_customer = ("payment_methods#cus_1".to_owned(), at(5));
    assert_eq!(list(method(Some(id("cus_1")))), Some(of_customer));
    assert_eq!(list(method(None)), None);
    assert_eq!(list(observed(1, "ready").0), None);
}

#[test]
fn each_kind_of_row_is_stored_under_its_name() {
    let known = learned(&[observed(1, "ready")]);
    let stored: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
    assert_eq!(stored["kind"], "merchant");
}
