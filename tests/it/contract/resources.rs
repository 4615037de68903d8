//! The rows that mirror a provider's things: the lists that show them, and the erasure of a session.

use super::{On, all_pages, dynamodb, in_time, later, memory, now, recorded, unique};
use domain::{
    ports::{ResourceAdmin as _, ResourceLists as _, ResourcePlace},
    resource::{
        RECEIVABLES, RECOVERABLE, Resource, ResourceChange, ResourceId,
        checkout_session::{CheckoutSession, CheckoutSessionFacts, ContactEmail, SessionSale},
        invoice::{Attempt, InvoiceFacts},
        merchant::{Capability, MerchantFacts, Readiness, Requirements},
        payment_method::{PaymentMethodFacts, list_of},
        transaction::{Related, TransactionFacts},
    },
    values::{
        facts::Stated,
        ids::{
            CheckoutSessionId, MerchantId, PaymentAttemptId, PaymentMethodId, PayoutId,
            TransactionId,
        },
        money::Currency,
    },
};
use kit::prelude::*;

on_both! {
    a_list_has_its_rows_by_time_whatever_the_pages,
    a_row_leaves_its_list_when_it_ends_or_moves,
    the_sessions_of_a_sale_are_found_and_each_is_erased_as_it_was_seen,
}

/// The row after these changes.
fn learned(changes: &[ResourceChange]) -> Resource {
    let provider = "acme".parse().unwrap();
    let changes = (0..).zip(changes);
    let learn = |known: Option<Resource>, (n, change): (i64, &ResourceChange)| {
        let at = now() + Duration::from_nanos(123_456_789) + SignedDuration::from_secs(n);
        Some(Resource::learn(known.as_ref(), &provider, change, at))
    };
    changes.fold(None, learn).unwrap()
}

/// The row in that version.
pub(super) fn of_version(mut row: Resource, version: u64) -> Resource {
    match &mut row {
        Resource::Transaction(row) => row.version = version,
        Resource::Invoice(row) => row.version = version,
        Resource::PaymentMethod(row) => row.version = version,
        Resource::Merchant(row) => row.version = version,
        Resource::CheckoutSession(row) => row.version = version,
    }
    row
}

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn order_id() -> OrderId {
    OrderId::new(unique("ord")).unwrap()
}

fn invoice_id() -> InvoiceId {
    InvoiceId::new(unique("inv")).unwrap()
}

fn customer_id() -> CustomerId {
    CustomerId::new(unique("cus")).unwrap()
}

fn transaction(full: bool) -> ResourceChange {
    let facts = TransactionFacts {
        mode: full.then_some(Mode::Test),
        movement: "dispute_reversal".into(),
        status: "a_new_word".into(),
        currency: Currency::USD,
        amount: -10_000,
        fee: full.then_some(-170),
        net: full.then_some(-9_825),
        occurred_at: later(),
        available_at: full.then(later),
        order_id: full.then(order_id),
        payout_id: full.then(|| PayoutId::new(unique("po")).unwrap()),
        related: full.then(|| Related {
            kind: "a_kind".to_owned(),
            id: "№ 7".to_owned(),
        }),
    };
    let stated = Stated {
        version: 3,
        ..Stated::ranked(2, facts)
    };
    let id = TransactionId::new(unique("btxn")).unwrap();
    ResourceChange::Transaction { id, facts: stated }
}

fn invoice() -> ResourceChange {
    let attempt = |failed| {
        let id = PaymentAttemptId::new(unique("ipa")).unwrap();
        let status = "payment_failed".to_owned();
        (id, Attempt { status, failed }.into())
    };
    let facts = InvoiceFacts {
        mode: Some(Mode::Live),
        number: Some("INV № 7".to_owned()),
        status: Some("partially_paid".into()),
        order_id: Some(order_id()),
        customer_id: Some(customer_id()),
        subscription_id: Some(SubscriptionId::new(unique("sub")).unwrap()),
        currency: Currency::new("jpy").ok(),
        total: Some(1000),
        outstanding: Some(700),
        paid: Some(300),
        credited: Some(0),
        refunded: Some(-1),
        due_at: Some(later()),
        issued_at: Some(now()),
        blocked: Some(true),
        attempts: [attempt(true), attempt(false)].into(),
    };
    invoice_of(invoice_id(), facts)
}

fn invoice_of(id: InvoiceId, facts: InvoiceFacts) -> ResourceChange {
    let facts = Box::new(facts.into());
    ResourceChange::Invoice { id, facts }
}

fn payment_method(id: &PaymentMethodId, customer: Option<&CustomerId>) -> ResourceChange {
    let facts = PaymentMethodFacts {
        mode: Some(Mode::Live),
        customer_id: customer.cloned(),
        method: Some("card".to_owned()),
        status: Some("removed".into()),
        usage: Some("off_session".into()),
        failure_code: Some("a_code".to_owned()),
    };
    let (id, facts) = (id.clone(), facts.into());
    ResourceChange::PaymentMethod { id, facts }
}

/// A merchant whose latest readiness is not understood.
fn merchant() -> [ResourceChange; 2] {
    let id = MerchantId::new(unique("mer")).unwrap();
    let capability = |domain, status: &str| {
        let status = status.into();
        Stated::ranked(1, Capability { domain, status })
    };
    ["ready", "a_new_word"].map(|status| {
        let readiness = |reason| Readiness {
            status: status.into(),
            reason,
        };
        let facts = MerchantFacts {
            mode: Some(Mode::Live),
            payments: Some(readiness(Some("a reason".to_owned()))),
            payouts: Some(readiness(None)),
            requirements: Some(Requirements {
                past_due: texts(&["tax id"]),
                currently_due: texts(&["bank account"]),
                eventually_due: texts(&["website"]),
                pending_verification: texts(&["address"]),
                disabled_reason: Some("a reason".to_owned()),
                deadline: Some(later()),
            }),
            next_actions: Some(texts(&["create_merchant_account_session"])),
            capabilities: [
                (
                    "one".to_owned(),
                    capability(Some("payments".to_owned()), "ready"),
                ),
                ("other".to_owned(), capability(None, "blocked")),
            ]
            .into(),
        };
        let (id, facts) = (id.clone(), Box::new(facts.into()));
        ResourceChange::Merchant { id, facts }
    })
}

fn session_of(id: &CheckoutSessionId, facts: CheckoutSessionFacts) -> ResourceChange {
    let (id, facts) = (id.clone(), Box::new(facts.into()));
    ResourceChange::CheckoutSession { id, facts }
}

fn session_id() -> CheckoutSessionId {
    CheckoutSessionId::new(unique("cs")).unwrap()
}

/// An abandoned session with a contact.
fn abandoned() -> CheckoutSessionFacts {
    CheckoutSessionFacts {
        mode: Some(Mode::Live),
        status: Some("expired".into()),
        reason: Some("expired".into()),
        contact: Some(ContactEmail("zoë@example.com".to_owned())),
        contact_until: Some(later()),
        expires_at: Some(now()),
        ended_at: Some(now()),
        ..CheckoutSessionFacts::default()
    }
}

/// A row of each kind with everything in it.
pub(super) fn full() -> [Resource; 5] {
    let method_id = PaymentMethodId::new(unique("pm")).unwrap();
    let session = CheckoutSessionFacts {
        order_id: Some(order_id()),
        invoice_id: Some(invoice_id()),
        successor: Some(session_id()),
        ..abandoned()
    };
    let mut rows = [
        learned(&[transaction(true)]),
        learned(&[invoice()]),
        learned(&[payment_method(&method_id, Some(&customer_id()))]),
        learned(&merchant()),
        learned(&[session_of(&session_id(), session)]),
    ];
    for row in &mut rows {
        match row {
            Resource::Invoice(row) => {
                row.notice_id = Some(ReceiptId::new(unique("receipt")).unwrap());
            }
            Resource::CheckoutSession(row) => row.erased = true,
            Resource::Transaction(_) | Resource::PaymentMethod(_) | Resource::Merchant(_) => {}
        }
    }
    rows
}

/// The row with nothing in it that it need not have.
pub(super) fn bare(row: &Resource) -> Resource {
    learned(&[match row.id() {
        ResourceId::Transaction(id) => {
            let ResourceChange::Transaction { facts, .. } = transaction(false) else {
                panic!("a transaction");
            };
            ResourceChange::Transaction { id, facts }
        }
        ResourceId::Invoice(id) => invoice_of(id, InvoiceFacts::default()),
        ResourceId::PaymentMethod(id) => ResourceChange::PaymentMethod {
            id,
            facts: PaymentMethodFacts::default().into(),
        },
        ResourceId::Merchant(id) => ResourceChange::Merchant {
            id,
            facts: Box::new(MerchantFacts::default().into()),
        },
        ResourceId::CheckoutSession(id) => session_of(&id, CheckoutSessionFacts::default()),
    }])
}

#[test]
fn a_full_row_lacks_nothing_that_a_row_can_have() {
    let names = |row: &Resource| -> BTreeSet<String> {
        let row = serde_json::to_value(row).unwrap();
        row.as_object().unwrap().keys().cloned().collect()
    };
    for (row, most) in full().iter().zip([12, 22, 11, 11, 15]) {
        assert_eq!(names(row).len(), most, "{:?}", names(row));
        assert!(names(&bare(row)).len() < most);
    }
}

/// Writes the next version of each row.
async fn write(on: &impl On, rows: impl IntoIterator<Item = Resource>) {
    let rows: Vec<_> = rows.into_iter().map(Resource::next).collect();
    for some in rows.chunks(70) {
        let commit = Commit {
            resources: some.to_vec(),
            ..Commit::of(recorded(on).await.event_id)
        };
        assert_eq!(on.commit(&commit).await, Committed::Now);
    }
}

/// Writes a merchant whose payments have that status, and that must still hand these things in.
pub(crate) async fn merchant_on(ports: &Ports, status: &str, missing: &[&str]) -> MerchantId {
    let id = MerchantId::new(unique("mer")).unwrap();
    let facts = MerchantFacts {
        payments: Some(Readiness {
            status: status.into(),
            reason: None,
        }),
        requirements: Some(Requirements {
            currently_due: texts(missing),
            ..Requirements::default()
        }),
        ..MerchantFacts::default()
    };
    let change = ResourceChange::Merchant {
        id: id.clone(),
        facts: Box::new(facts.into()),
    };
    write(ports, [learned(&[change])]).await;
    id
}

/// Writes an abandoned session of a new order, whose buyer has an address. Returns it, and a later session of the same
/// order that was paid and is not written.
pub(crate) async fn abandoned_on(ports: &Ports) -> [Resource; 2] {
    let order_id = Some(order_id());
    let abandoned = CheckoutSessionFacts {
        order_id: order_id.clone(),
        contact_until: None,
        ..abandoned()
    };
    let paid = CheckoutSessionFacts {
        status: Some("paid".into()),
        order_id,
        ..CheckoutSessionFacts::default()
    };
    let rows = [abandoned, paid].map(|facts| learned(&[session_of(&session_id(), facts)]));
    write(ports, [rows[0].clone()]).await;
    rows
}

/// All pages of a list.
async fn listed(on: &impl On, list: &str, before: Option<Timestamp>) -> Vec<Vec<Resource>> {
    all_pages(async |after: Option<ResourcePlace>| {
        let page = on.store().listed(list, before, after.as_ref()).await;
        let page = page.unwrap();
        (vec![page.resources], page.next)
    })
    .await
}

/// The place of a row in a list; it has one at most.
async fn place(on: &impl On, list: &str, id: &ResourceId) -> Option<Timestamp> {
    let pages = listed(on, list, None).await;
    let mut rows = pages.iter().flatten().filter(|row| row.id() == *id);
    let found = rows.next().map(|row| row.list().unwrap().1);
    assert_eq!(rows.next(), None, "{id} is twice in {list}");
    found
}

async fn a_list_has_its_rows_by_time_whatever_the_pages(on: &impl On) {
    let customer_id = customer_id();
    let list = list_of(&customer_id);
    assert_eq!(listed(on, &list, None).await, [Vec::new()]);
    // Some at one time, and times that differ by less than a second.
    let at = |n: u32| now() + Duration::from_millis(u64::from(n / 3) * 250);
    let rows = (0..210).rev().map(|n| {
        let id = PaymentMethodId::new(unique("pm")).unwrap();
        let change = payment_method(&id, Some(&customer_id));
        Resource::learn(None, &"acme".parse().unwrap(), &change, at(n)).next()
    });
    let rows: Vec<_> = rows.collect();
    let by_id = |rows: Vec<Resource>| -> BTreeMap<ResourceId, Resource> {
        rows.into_iter().map(|row| (row.id(), row)).collect()
    };
    write(on, rows.iter().cloned().map(|row| of_version(row, 0))).await;
    in_time("the index has all rows", async || {
        listed(on, &list, None).await.concat().len() == rows.len()
    })
    .await;
    let pages = listed(on, &list, None).await;
    assert!(pages.len() > 2, "{}", pages.len());
    let found = pages.concat();
    let times: Vec<_> = found.iter().map(|row| row.list().unwrap().1).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(by_id(found), by_id(rows.clone()));
    for n in [0, 3, 100, 209] {
        let earlier = rows.iter().filter(|row| row.list().unwrap().1 < at(n));
        let found = listed(on, &list, Some(at(n))).await.concat();
        assert_eq!(by_id(found), by_id(earlier.cloned().collect()), "{n}");
    }
    let one = &rows[7];
    let read = on.store().resource(&one.id()).await;
    assert_eq!(read, Ok(Some(one.clone())));
    let none = ResourceId::Merchant(MerchantId::new(unique("mer")).unwrap());
    assert_eq!(on.store().resource(&none).await, Ok(None));
}

async fn a_row_leaves_its_list_when_it_ends_or_moves(on: &impl On) {
    let hour = SignedDuration::from_hours(1);
    let open = |due_at| InvoiceFacts {
        status: Some("open".into()),
        outstanding: Some(700),
        currency: Some(Currency::USD),
        due_at: Some(due_at),
        ..InvoiceFacts::default()
    };
    let id = invoice_id();
    let change = |facts| invoice_of(id.clone(), facts);
    let (due, moved) = (change(open(later())), change(open(later() + hour)));
    let paid = change(InvoiceFacts {
        status: Some("paid".into()),
        ..InvoiceFacts::default()
    });
    let key = ResourceId::Invoice(id.clone());
    let history = [due, moved, paid];
    for (n, expected) in (1..).zip([Some(later()), Some(later() + hour), None]) {
        let row = of_version(learned(&history[..n]), n as u64 - 1);
        write(on, [row]).await;
        in_time("the index has the invoice in its place", async || {
            place(on, RECEIVABLES, &key).await == expected
        })
        .await;
    }
    let id = PaymentMethodId::new(unique("pm")).unwrap();
    let key = ResourceId::PaymentMethod(id.clone());
    let customers = [customer_id(), customer_id()];
    let history = customers
        .each_ref()
        .map(|customer| payment_method(&id, Some(customer)));
    for n in 1..=2 {
        let row = of_version(learned(&history[..n]), n as u64 - 1);
        write(on, [row]).await;
        in_time(
            "the method is in the list of its customer alone",
            async || {
                let mut found = Vec::new();
                for customer in &customers {
                    found.push(place(on, &list_of(customer), &key).await.is_some());
                }
                found == [n == 1, n == 2]
            },
        )
        .await;
    }
}

/// All sessions of a sale, and the number of pages.
async fn sessions_of(on: &impl On, sale: &SessionSale) -> (Vec<CheckoutSession>, usize) {
    let pages = all_pages(async |after: Option<CheckoutSessionId>| {
        let page = on.store().sessions_of(sale, after.as_ref()).await;
        let page = page.unwrap();
        (vec![page.sessions], page.next)
    })
    .await;
    let mut found = pages.concat();
    found.sort_by(|one, other| one.id.cmp(&other.id));
    (found, pages.len())
}

async fn the_sessions_of_a_sale_are_found_and_each_is_erased_as_it_was_seen(on: &impl On) {
    let (order_id, invoice_id) = (order_id(), invoice_id());
    let session = |facts| match learned(&[session_of(&session_id(), facts)]).next() {
        Resource::CheckoutSession(session) => *session,
        other => panic!("{other:?}"),
    };
    let of_order = || CheckoutSessionFacts {
        order_id: Some(order_id.clone()),
        invoice_id: Some(invoice_id.clone()),
        ..abandoned()
    };
    let mut of_order: Vec<_> = (0..110).map(|_| session(of_order())).collect();
    of_order.sort_by(|one, other| one.id.cmp(&other.id));
    let of_invoice = session(CheckoutSessionFacts {
        invoice_id: Some(invoice_id.clone()),
        ..abandoned()
    });
    let of_none = session(abandoned());
    let all = of_order.iter().chain([&of_invoice, &of_none]);
    let rows = all.map(|row| of_version(Resource::CheckoutSession(Box::new(row.clone())), 0));
    write(on, rows).await;
    let (order, invoice) = (
        SessionSale::Order(order_id),
        SessionSale::Invoice(invoice_id),
    );
    in_time("the index has the sessions", async || {
        let (of_order, of_invoice) = (
            sessions_of(on, &order).await,
            sessions_of(on, &invoice).await,
        );
        (of_order.0.len(), of_invoice.0.len()) == (110, 1)
    })
    .await;
    let (found, pages) = sessions_of(on, &order).await;
    assert_eq!(found, of_order);
    assert!(pages > 1);
    assert_eq!(
        sessions_of(on, &invoice).await.0,
        std::slice::from_ref(&of_invoice)
    );

    let desk = on.store();
    for seen in [&of_order[0], &of_invoice] {
        for expected in [Changed::Now, Changed::Raced] {
            assert_eq!(desk.erase_session(seen).await, Ok(expected));
        }
        let key = ResourceId::CheckoutSession(seen.id.clone());
        let erased = Resource::CheckoutSession(Box::new(seen.erased())).next();
        assert_eq!(desk.resource(&key).await, Ok(Some(erased.clone())));
        // Without an order, nothing can be recovered after the erasure.
        let expected = erased.list().map(|(_, at)| at);
        in_time(
            "the index has the erased session in its place",
            async || place(on, RECOVERABLE, &key).await == expected,
        )
        .await;
    }
    // An erased session keeps its sale, so that a second run finds it.
    let erased = CheckoutSession {
        version: 2,
        ..of_invoice.erased()
    };
    assert_eq!(sessions_of(on, &invoice).await.0, [erased]);
}
