use super::super::tests::{assert_needed, assert_optional, assert_refused};
use super::*;
use domain::values::{mode::Mode, money::Currency};
use jiff::Timestamp;
use serde_json::{Value, json};

fn sample() -> Value {
    json!({
        "subscription_id": "fsub_1", "customer": "fcus_1", "status": "trialing", "cancel_at_period_end": false,
        "items": [{
            "subscription_item_id": "fsi_1", "quantity": 2,
            "price": {"price_id": "fprice_1", "unit_amount": 4999, "product": "fprod_1"},
        }],
        "latest_invoice": "fin_1", "created_at": "2025-10-10T09:55:10Z", "current_period_start": "2025-10-10T09:55:10Z",
        "current_period_end": "2025-11-10T09:55:10Z", "trial_end": 1_760_349_310, "cancel_at": null,
        "test_mode": true,
    })
}

fn read(sample: Value) -> Result<SubscriptionChange, &'static str> {
    subscription(&serde_json::from_value(sample).unwrap(), Source::Updated)
        .map_err(NotUnderstood::place)
}

/// The sample with one member changed.
fn with(name: &str, value: Value) -> Result<SubscriptionChange, &'static str> {
    let mut sample = sample();
    sample[name] = value;
    read(sample)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_subscription_tells_all_that_it_has() {
    let expected = SubscriptionChange {
        subscription_id: SubscriptionId::new("fsub_1").unwrap(),
        customer_id: CustomerId::new("fcus_1").unwrap(),
        mode: Some(Mode::Test),
        snapshot: Stated::ranked(
            34,
            SubscriptionFacts {
                source: Source::Updated,
                status: SubscriptionStatus::Trialing,
                cancel_at_period_end: false,
                period_end: Some(at("2025-11-10T09:55:10Z")),
                trial_end: Some(at("2025-10-13T09:55:10Z")),
                items: vec![Item {
                    product_id: Some(ProductId::new("fprod_1").unwrap()),
                    price_id: Some(PriceId::new("fprice_1").unwrap()),
                    quantity: 2,
                }],
                latest_invoice: Some(InvoiceId::new("fin_1").unwrap()),
                created_at: Some(at("2025-10-10T09:55:10Z")),
                paid_through: None,
                suspended_at: None,
                payment_method_id: None,
                ended_at: None,
            },
        ),
    };
    assert_eq!(read(sample()), Ok(expected));
}

#[test]
fn expanded_resources_are_the_same() {
    let mut expanded = sample();
    expanded["customer"] = json!({"customer_id": "fcus_1", "email": "pat@example.com"});
    expanded["latest_invoice"] =
        json!({"invoice_id": "fin_1", "subscription": {"subscription_id": "fsub_1"}});
    expanded["items"][0]["price"]["product"] = json!({"product_id": "fprod_1", "name": "Training"});
    assert_eq!(read(expanded), read(sample()));
}

#[test]
fn a_subscription_is_of_no_use_without_these() {
    assert_needed(
        with,
        "subscription",
        &["subscription_id", "customer", "status"],
    );
}

#[test]
fn any_other_member_may_be_missing_and_is_never_guessed() {
    let members = [
        "cancel_at_period_end",
        "items",
        "latest_invoice",
        "current_period_end",
        "trial_end",
        "cancel_at",
        "test_mode",
    ];
    assert_optional(with, "subscription", &members);
}

#[test]
fn the_customer_may_be_named_by_a_member_of_its_own() {
    let mut other = sample();
    other["customer"] = Value::Null;
    other["customer_id"] = json!("fcus_2");
    assert_eq!(read(other).unwrap().customer_id.as_str(), "fcus_2");
}

#[test]
fn a_status_that_we_do_not_know_is_kept() {
    let status = |word: &str| with("status", json!(word)).unwrap().snapshot.value.status;
    assert_eq!(status("past_due"), SubscriptionStatus::PastDue);
    assert_eq!(
        status("on_holiday"),
        SubscriptionStatus::Other("on_holiday".to_owned())
    );
}

#[test]
fn an_item_may_be_told_in_part() {
    let item = |item: Value| {
        with("items", json!([item]))
            .unwrap()
            .snapshot
            .items
            .remove(0)
    };
    let by_id = item(json!({"price": "fprice_2"}));
    assert_eq!(by_id.price_id.unwrap().as_str(), "fprice_2");
    assert_eq!((by_id.product_id, by_id.quantity), (None, 1));
    let none = item(json!({}));
    assert_eq!(
        none,
        Item {
            product_id: None,
            price_id: None,
            quantity: 1
        }
    );
    let by_their_ids = with("items", json!(["fsi_1"])).unwrap();
    assert_eq!(by_their_ids.snapshot.items, []);
    for (name, odd) in [
        ("quantity", json!(-1)),
        ("quantity", json!("2")),
        ("price", json!(7)),
        ("price", json!({"product": {}})),
    ] {
        let why = with("items", json!([{name: odd}])).unwrap_err();
        assert!(why.starts_with("object.subscription.items[]."), "{why}");
    }
}

#[test]
fn a_date_to_end_on_within_the_period_ends_with_it() {
    let ends = |cancel_at: Value| {
        with("cancel_at", cancel_at)
            .unwrap()
            .snapshot
            .cancel_at_period_end
    };
    assert!(ends(json!("2025-11-10T09:55:10Z")));
    assert!(ends(json!("2025-11-01T00:00:00Z")));
    assert!(!ends(json!("2026-11-10T09:55:10Z")));
    assert!(
        with("cancel_at_period_end", json!(true))
            .unwrap()
            .snapshot
            .cancel_at_period_end
    );
}

fn bill() -> Value {
    json!({
        "invoice_id": "fin_1", "subscription": "fsub_1", "customer": "fcus_1", "payment_intent": "fpi_1",
        "total": 4999, "amount_due": 4999, "amount_paid": 0, "status": "open", "test_mode": false,
        "period_start": "2025-10-10T09:55:10Z", "period_end": "1762768510", "created_at": "2025-10-10T09:55:11Z",
    })
}

fn bill_with(name: &str, value: Value) -> Result<Option<InvoiceChange>, &'static str> {
    let mut bill = bill();
    bill[name] = value;
    invoice(
        &serde_json::from_value(bill).unwrap(),
        InvoiceEvent::PaymentFailed,
    )
    .map_err(NotUnderstood::place)
}

#[test]
fn an_invoice_tells_all_that_it_has() {
    let expected = InvoiceChange {
        invoice_id: InvoiceId::new("fin_1").unwrap(),
        subscription_id: SubscriptionId::new("fsub_1").unwrap(),
        customer_id: Some(CustomerId::new("fcus_1").unwrap()),
        mode: Some(Mode::Live),
        event: InvoiceEvent::PaymentFailed,
        bill: Bill {
            currency: Currency::USD,
            amount_paid: Some(0),
            amount_due: Some(4999),
            payment_intent_id: Some(PaymentIntentId::new("fpi_1").unwrap()),
            period_start: Some(at("2025-10-10T09:55:10Z")),
            period_end: Some(at("2025-11-10T09:55:10Z")),
            created_at: Some(at("2025-10-10T09:55:11Z")),
        }
        .into(),
    };
    assert_eq!(bill_with("new", json!({"a": 1})), Ok(Some(expected)));
}

#[test]
fn an_expanded_invoice_is_the_same() {
    let expected = bill_with("new", Value::Null);
    for (name, expanded) in [
        (
            "subscription",
            json!({"subscription_id": "fsub_1", "status": "active"}),
        ),
        ("customer", json!({"customer_id": "fcus_1"})),
        (
            "payment_intent",
            json!({"payment_intent_id": "fpi_1", "status": "succeeded"}),
        ),
    ] {
        assert_eq!(bill_with(name, expanded), expected, "{name}");
    }
}

#[test]
fn an_invoice_of_no_subscription_is_not_news() {
    for none in [Value::Null, json!("")] {
        assert_eq!(bill_with("subscription", none), Ok(None));
    }
}

#[test]
fn an_invoice_is_of_no_use_without_these() {
    assert_needed(bill_with, "invoice", &["invoice_id"]);
    let odd = [
        json!(7),
        json!("two words"),
        json!({}),
        json!({"subscription_id": 7}),
    ];
    assert_refused(bill_with, "invoice", &["subscription"], &odd);
}

#[test]
fn any_other_member_of_an_invoice_may_be_missing_and_is_never_guessed() {
    let members = [
        "customer",
        "payment_intent",
        "amount_due",
        "amount_paid",
        "period_start",
        "period_end",
        "created_at",
        "test_mode",
    ];
    assert_optional(bill_with, "invoice", &members);
}

#[test]
fn the_period_of_an_invoices_lines_counts_before_its_own() {
    let month = json!({"start": "2025-11-10T09:55:10Z", "end": 1_765_360_510});
    let own = ["2025-10-10T09:55:10Z", "2025-11-10T09:55:10Z"].map(|time| Some(at(time)));
    let of_line = ["2025-11-10T09:55:10Z", "2025-12-10T09:55:10Z"].map(|time| Some(at(time)));
    let proration = json!({"start": "2025-10-20T00:00:00Z", "end": "2025-11-10T09:55:10Z"});
    let at_once = json!({"start": "2025-12-20T00:00:00Z", "end": "2025-12-20T00:00:00Z"});
    for (lines, expected) in [
        (json!([{"period": month}]), of_line),
        (
            json!({"data": [{"period": proration}, {"period": month}, {"period": at_once}]}),
            of_line,
        ),
        (
            json!([{"period": month}, {"period": "soon"}, null, 7]),
            of_line,
        ),
        (json!([{"period": at_once}, {}]), own),
        (json!({"data": {}}), own),
        (json!("none"), own),
        (json!([]), own),
        (Value::Null, own),
    ] {
        let bill = bill_with("lines", lines.clone()).unwrap().unwrap().bill;
        assert_eq!([bill.period_start, bill.period_end], expected, "{lines}");
    }
}
