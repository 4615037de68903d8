use super::*;
use crate::read;
use domain::{
    access::subscription::{InvoiceEvent, Source},
    delivery::event::{Event, Unreadable},
    values::mode::Mode,
};
use rest::testing;

const NOW: &str = "2026-04-20T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Three days back.
pub(crate) fn ask(what: &'static str) -> Ask<'static> {
    Ask {
        list: what,
        since: time("2026-04-17T12:00:00Z"),
        now: time(NOW),
        after: None,
    }
}

fn found(what: &'static str, object: &Value) -> Found {
    match listed(&ask(what), object) {
        Some(Listed::Found(found)) => *found,
        other => panic!("{other:?}: {object}"),
    }
}

/// The event that a found thing becomes, as it is read again.
fn recovered(found: &Found, waits: bool) -> Event {
    let id = EventId::new("reconciled:1").unwrap();
    let read = testing::event(read(&event(found, &id, time(NOW), waits)));
    assert_eq!((&read.event_id, read.occurred_at), (&id, Some(time(NOW))));
    read
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn session() -> Value {
    json!({
        "checkout_session_id": "fcs_1", "status": "complete", "mode": "payment", "test_mode": true,
        "amount_total": 5000, "amount_received": 5000, "created_at": time("2026-04-20T09:00:00Z").as_second(),
    })
}

#[test]
fn a_listed_session_shows_its_shop_and_one_that_sells_nothing_is_not_compared() {
    let with_shop = with(session(), "metadata", json!({"shop": "one"}));
    let with_shop = with(with_shop, "client_reference_id", json!(" WEB-1 "));
    let marks = found("checkouts", &with(with_shop, "origin", json!("shopify"))).marks;
    let expected = ShopMarks {
        origin: Some("shopify".to_owned()),
        metadata: [("shop".to_owned(), "one".to_owned())].into(),
        reference: Some("WEB-1".to_owned()),
        fulfilled_elsewhere: true,
    };
    assert_eq!(marks, Some(expected));
    for mode in ["setup", "reimbursement"] {
        let session = with(session(), "mode", json!(mode));
        assert_eq!(listed(&ask("checkouts"), &session), None);
    }
}

fn refund() -> Value {
    json!({
        "refund_id": "fre_1", "payment_intent_id": "fpi_1", "amount": 1500, "status": "succeeded",
        "created_at": "2026-04-19T12:40:00Z", "metadata": {"restock": "TOTE"}, "test_mode": true,
    })
}

fn invoice() -> Value {
    json!({
        "invoice_id": "fin_1", "subscription": "fsub_1", "customer": "fcus_1", "status": "paid",
        "amount_paid": 2000, "amount_due": 2000, "created_at": "2026-04-19T08:00:00Z", "test_mode": false,
        "period_start": "2026-04-19T08:00:00Z", "period_end": "2026-05-19T08:00:00Z",
    })
}

fn subscription() -> Value {
    json!({
        "subscription_id": "fsub_1", "customer": "fcus_1", "status": "active", "created_at": "2024-01-19T08:00:00Z",
        "cancel_at_period_end": false, "current_period_end": "2026-05-19T08:00:00Z", "test_mode": false,
        "items": [{"quantity": 1, "price": {"price_id": "fprice_1", "product": "fprod_1"}}],
    })
}

fn dispute() -> Value {
    json!({
        "dispute_id": "fdsp_1", "payment_intent_id": "fpi_1", "amount": 4999, "currency": "usd", "status": "lost",
        "created_at": "2026-04-19T12:40:00Z", "test_mode": true,
    })
}

fn payment() -> Value {
    json!({
        "payment_intent_id": "fpi_1", "amount": 4999, "amount_received": 4999, "status": "succeeded",
        "created_at": "2026-04-19T12:40:00Z", "invoice": null, "test_mode": true,
    })
}

/// One of each.
pub(crate) fn all() -> [(&'static str, Value); 7] {
    let over = with(
        with(subscription(), "status", json!("canceled")),
        "canceled_at",
        json!(NOW),
    );
    [
        ("checkouts", session()),
        ("invoices", invoice()),
        ("refunds", refund()),
        ("disputes", dispute()),
        ("subscriptions", subscription()),
        ("ended subscriptions", over),
        ("payments", payment()),
    ]
}

#[test]
fn what_is_found_is_told_as_a_webhook_would_have_told_it() {
    let types = [
        "checkout.session.completed",
        "invoice.paid",
        "refund.updated",
        "charge.dispute.closed",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "payment_intent.succeeded",
    ];
    for ((what, object), event_type) in all().into_iter().zip(types) {
        let found = found(what, &object);
        let read = recovered(&found, false);
        assert_eq!(read.event_type, event_type);
        assert_eq!(
            read.change, found.change,
            "{what}: what is compared is what is done"
        );
        let body = event(&found, &read.event_id, time(NOW), false);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body["object"][found.resource], object,
            "the object itself, and all of it"
        );
    }
}

#[test]
fn a_checkout_is_of_interest_when_it_is_complete() {
    let of = |status: &str| listed(&ask("checkouts"), &with(session(), "status", json!(status)));
    for status in ["complete", "paid", " complete "] {
        assert!(matches!(of(status), Some(Listed::Found(_))), "{status}");
    }
    for status in ["open", "expired", "canceled", "new"] {
        assert_eq!(of(status), None, "{status}");
    }
    let found = found("checkouts", &session());
    assert_eq!(
        (found.since, found.mode),
        (found.created_at, Some(Mode::Test))
    );
}

#[test]
fn a_payment_is_of_interest_when_it_succeeded_and_no_invoice_has_it() {
    let of = |name: &str, value: Value| listed(&ask("payments"), &with(payment(), name, value));
    for status in ["processing", "requires_capture", "canceled", "new"] {
        assert_eq!(of("status", json!(status)), None, "{status}");
    }
    for invoice in [json!("fin_1"), json!({"invoice_id": "fin_1"})] {
        assert_eq!(of("invoice", invoice.clone()), None, "{invoice}");
    }
}

#[test]
fn only_a_dispute_of_a_known_end_is_told_as_closed_and_an_old_one_is_told_apart() {
    for (status, event_type) in [
        ("won", "charge.dispute.closed"),
        ("warning_closed", "charge.dispute.closed"),
        ("prevented", "charge.dispute.closed"),
        ("needs_response", "charge.dispute.updated"),
        ("a word of next year", "charge.dispute.updated"),
    ] {
        let found = found("disputes", &with(dispute(), "status", json!(status)));
        assert_eq!((found.event_type, found.is_recent), (event_type, true));
    }
    let old = with(dispute(), "created_at", json!("2026-04-17T11:59:59Z"));
    assert!(!found("disputes", &old).is_recent);
}

#[test]
fn a_checkout_says_what_of_its_money_is_here() {
    let received = |received: Option<i64>, total: Option<i64>| {
        let session = with(session(), "amount_received", json!(received));
        found("checkouts", &with(session, "amount_total", json!(total))).received
    };
    for (amount, total, is_all) in [
        (5000, Some(5000), true),
        // There was nothing to pay.
        (0, Some(0), true),
        // A part of it was captured.
        (4000, Some(5000), false),
        (0, Some(5000), false),
        // The total is not stated.
        (1, None, true),
        (0, None, false),
    ] {
        let expected = Some(Received { amount, is_all });
        assert_eq!(
            received(Some(amount), total),
            expected,
            "{amount} of {total:?}"
        );
    }
    assert_eq!(received(None, Some(5000)), None);
    let refund = with(refund(), "amount_received", json!(1));
    assert_eq!(found("refunds", &refund).received, None);
}

#[test]
fn an_order_that_waits_is_told_that_its_money_is_here_once_all_of_it_is() {
    let change = |received: i64, waits: bool| {
        let session = with(session(), "amount_received", json!(received));
        recovered(&found("checkouts", &session), waits).change
    };
    assert!(matches!(change(5000, true), Change::SalePaid { .. }));
    for (received, waits) in [(5000, false), (4000, true), (0, true)] {
        let Change::Sale { completed, .. } = change(received, waits) else {
            panic!("{received}")
        };
        assert!(completed, "{received}");
    }
}

#[test]
fn of_a_long_checkout_enough_is_kept_to_find_it() {
    let long = with(session(), "line_items", json!(["x".repeat(300_000)]));
    let found = found("checkouts", &long);
    assert!(found.object.len() < 200);
    assert_eq!((found.mode, found.is_paid()), (Some(Mode::Test), true));
    assert_eq!(recovered(&found, false).change, found.change);
    let id = stub("refunds", Some("fre_1"));
    assert_eq!(id, br#"{"object":{"refund":{"refund_id":"fre_1"}}}"#);
}

#[test]
fn an_invoice_is_of_interest_when_it_is_a_subscriptions_and_paid() {
    let found = found("invoices", &invoice());
    let Change::Invoice(change) = found.change else {
        panic!("{found:?}")
    };
    assert_eq!(change.event, InvoiceEvent::Paid);
    assert_eq!(found.since, Some(time("2026-04-19T08:00:00Z")));
    for (name, value) in [
        ("status", json!("open")),
        ("status", json!("draft")),
        ("subscription", Value::Null),
    ] {
        assert_eq!(
            listed(&ask("invoices"), &with(invoice(), name, value.clone())),
            None,
            "{value}"
        );
    }
    let mut of_somebody = invoice();
    of_somebody.as_object_mut().unwrap().remove("subscription");
    let listed = listed(&ask("invoices"), &of_somebody);
    let Some(Listed::Unreadable { id, why, .. }) = listed else {
        panic!("{listed:?}")
    };
    assert_eq!(id.as_deref(), Some(found.id.as_str()));
    assert_eq!(why, Unreadable::Missing("object.invoice.subscription"));
}

#[test]
fn what_is_older_than_anybody_looks_back_is_left_alone_but_for_what_lives_on() {
    let old = json!("2026-04-17T11:59:59Z");
    for (what, object) in all() {
        let kept = listed(&ask(what), &with(object.clone(), "created_at", old.clone()));
        assert_eq!(kept.is_some(), List::is_ageless(what), "{what}");
        // Without a time, a person looks at invoices, refunds and payments, because their lists have no age filter.
        let ageless = listed(&ask(what), &with(object, "created_at", Value::Null)).unwrap();
        let is_readable = matches!(ageless, Listed::Found(_));
        assert_eq!(
            is_readable,
            !matches!(what, "invoices" | "refunds" | "payments"),
            "{what}"
        );
    }
}

#[test]
fn the_end_of_a_subscription_is_when_it_is_told_to_be() {
    let canceled = with(subscription(), "status", json!("canceled"));
    let end = |changes: &Value| {
        let mut over = canceled.clone();
        let changes = changes.as_object().unwrap().clone();
        over.as_object_mut().unwrap().extend(changes);
        found("ended subscriptions", &over)
    };
    let (early, late) = ("2026-04-18T08:00:00Z", "2026-04-19T08:00:00Z");
    // Not when the end with the period was asked for.
    let with_period = json!({
        "cancel_at_period_end": true, "current_period_end": late, "canceled_at": "2026-04-01T00:00:00Z",
    });
    for (changes, expected) in [
        (json!({"canceled_at": late}), Some(late)),
        (json!({"canceled_at": early, "ended_at": late}), Some(late)),
        (json!({"canceled_at": early, "cancel_at": late}), Some(late)),
        // No time is stated.
        (json!({}), None),
        // It did not outlive its last period.
        (json!({"current_period_end": late}), Some(late)),
        // It was not waited for.
        (json!({"cancel_at": "2026-05-01T00:00:00Z"}), None),
        (with_period, Some(late)),
    ] {
        assert_eq!(end(&changes).since, expected.map(time), "{changes}");
    }
    let Change::Subscription(change) = end(&json!({})).change else {
        panic!("no subscription")
    };
    assert_eq!(change.snapshot.source, Source::Deleted);
    let long_ago = with(canceled, "canceled_at", json!("2026-04-17T11:00:00Z"));
    assert_eq!(listed(&ask("subscriptions"), &long_ago), None);
}

#[test]
fn what_lacks_something_is_told_apart_by_its_id() {
    let broken = with(refund(), "amount", json!("a lot"));
    let Some(Listed::Unreadable { id, why, object }) = listed(&ask("refunds"), &broken) else {
        panic!("it was read")
    };
    assert_eq!(
        (id.as_deref(), why),
        (
            Some("fre_1"),
            Unreadable::Malformed("object.refund.amount", "a text")
        )
    );
    assert_eq!(serde_json::from_slice::<Value>(&object).unwrap(), broken);
    for nonsense in [
        json!(null),
        json!("fre_1"),
        json!([]),
        json!({}),
        with(refund(), "refund_id", json!(7)),
    ] {
        let listed = listed(&ask("refunds"), &nonsense);
        assert!(
            matches!(listed, Some(Listed::Unreadable { id: None, .. })),
            "{nonsense}: {listed:?}"
        );
    }
}

#[test]
fn a_list_ends_for_us_where_all_of_a_page_is_older_than_anybody_looks_back() {
    let at = |created: &str| with(refund(), "created_at", json!(created));
    let (older, old) = (at("2026-04-17T09:00:00Z"), at("2026-04-17T10:00:00Z"));
    let young = at("2026-04-18T10:00:00Z");
    let past = |page: &[&Value]| {
        is_past(
            &ask("refunds"),
            &page.iter().map(|one| (*one).clone()).collect::<Vec<_>>(),
        )
    };
    assert!(past(&[&old, &older]) && past(&[&old, &old, &older]));
    assert!(!past(&[&young, &old]));
    assert!(
        !past(&[&older, &old]),
        "the oldest come first: the young are still to come"
    );
    assert!(
        !past(&[&old, &older, &old]) && !past(&[&old, &old]),
        "in no order that says anything"
    );
    assert!(!past(&[&old, &with(refund(), "created_at", Value::Null)]) && !past(&[]));
    assert!(!is_past(&ask("subscriptions"), &[old, older]));
}

#[test]
fn checkouts_are_asked_for_by_their_age_and_the_ended_by_their_status() {
    assert_eq!(
        List::filter(&ask("checkouts")),
        Some(("interval", "4".to_owned()))
    );
    assert_eq!(
        List::filter(&ask("ended subscriptions")),
        Some(("status", "canceled".to_owned()))
    );
    for what in ["invoices", "refunds", "subscriptions"] {
        assert_eq!(List::filter(&ask(what)), None, "{what}");
    }
}
