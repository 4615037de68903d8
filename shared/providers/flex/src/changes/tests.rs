use super::*;
use domain::{
    access::contact::ContactFacts as CustomerTold,
    delivery::event::{Event, Reading, Unreadable},
    sale::payment::{self, PaymentStatus},
    values::{
        facts::Stated,
        ids::{DisputeId, InvoiceId, RefundId, SubscriptionId},
        money::Currency,
    },
};
use proptest::prelude::*;
use rest::testing;
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};

/// The resource that events of a type are about, whole, and its name.
fn sample(event_type: &str) -> (&'static str, Value) {
    let group = event_type
        .rsplit_once('.')
        .map_or(event_type, |(group, _)| group);
    match group {
        "checkout.session" => (
            "checkout_session",
            json!({"checkout_session_id": "fcs_1", "status": "complete"}),
        ),
        "payment_intent" => (
            "payment_intent",
            json!({
                "payment_intent_id": "fpi_1", "status": "succeeded", "amount": 500, "amount_received": 500,
                "payment_card_type": "primary", "test_mode": true,
            }),
        ),
        "charge" => (
            "charge",
            json!({"charge_id": "fch_1", "payment_intent": "fpi_1", "test_mode": true}),
        ),
        "refund" | "charge.refund" => (
            "refund",
            json!({
                "refund_id": "fre_1", "payment_intent_id": "fpi_1", "amount": 500, "status": "pending",
                "test_mode": true,
            }),
        ),
        "charge.dispute" => (
            "dispute",
            json!({
                "dispute_id": "fdsp_1", "payment_intent_id": "fpi_1", "amount": 500, "status": "lost",
                "test_mode": true,
            }),
        ),
        "customer.subscription" => (
            "subscription",
            json!({
                "subscription_id": "fsub_1", "customer": "fcus_1", "status": "active", "items": [],
                "test_mode": true,
            }),
        ),
        "invoice" => (
            "invoice",
            json!({"invoice_id": "fin_1", "subscription": "fsub_1", "customer": "fcus_1", "test_mode": true}),
        ),
        "customer" => (
            "customer",
            json!({"customer_id": "fcus_1", "first_name": "Pat", "email": "pat@example.com", "test_mode": true}),
        ),
        _ => ("other", json!({"other_id": "x_1"})),
    }
}

/// The result for an event with this under `object`, or the place of what is not understood.
fn read(event_type: &str, object: &Value) -> Result<Change, &'static str> {
    let body = json!({
        "event_dt": 1_760_090_001, "event_id": "fevt_1", "event_type": event_type, "object": object,
    });
    match testing::event(crate::read(body.to_string().as_bytes())).change {
        Change::NotUnderstood(Unreadable::Missing(place) | Unreadable::Malformed(place, _)) => {
            Err(place)
        }
        change => Ok(change),
    }
}

/// The fact that this payment has succeeded.
fn succeeded(mode: Mode, facts: payment::PaymentFacts) -> Change {
    Change::Payment(PaymentNews {
        payment_intent_id: payment(),
        order_id: None,
        mode: Some(mode),
        facts: Some(Stated::ranked(7, facts)),
    })
}

/// The result for the sample, wrapped like a delivery.
fn of_sample(event_type: &str) -> Change {
    let (key, sample) = sample(event_type);
    read(event_type, &json!({key: sample})).unwrap()
}

fn order_id() -> OrderId {
    OrderId::new("fcs_1").unwrap()
}

fn payment() -> PaymentIntentId {
    PaymentIntentId::new("fpi_1").unwrap()
}

/// The types that something is done about, with what.
fn acted_on() -> impl Iterator<Item = (&'static str, &'static str)> {
    event_types().filter(|(_, word)| *word != "not_needed")
}

/// The types themselves are compared with the table in `EVENTS.md`.
#[test]
fn a_type_is_in_the_table_once() {
    let listed: BTreeMap<_, _> = event_types().collect();
    assert_eq!(listed.len(), event_types().count());
}

#[test]
fn the_table_says_what_is_read() {
    for (event_type, word) in event_types() {
        let read = match of_sample(event_type) {
            Change::Sale { .. } | Change::SalePaid { .. } => "checkout",
            Change::Payment(_) => "payment",
            Change::Refund(_) => "refund",
            Change::Fetch(_) => "refunds",
            Change::Exception { .. } | Change::Fulfillment(_) | Change::Resource(_) => "another",
            Change::Dispute(_) => "dispute",
            Change::Subscription(_) => "subscription",
            Change::Invoice(_) => "invoice",
            Change::Customer(_) => "customer",
            Change::NotNeeded => "not_needed",
            Change::Unhandled => "unhandled",
            Change::NotUnderstood(_) => "not_understood",
        };
        assert_eq!(read, word, "{event_type}");
    }
}

/// A new type neither fails nor grants, whatever it is called.
#[test]
fn a_type_that_we_do_not_know_is_left_alone() {
    for event_type in [
        "something.new",
        "checkout.session.paid",
        "payment_intent.partially_funded",
        "payment_intent.processing",
        "payment_intent.amount_capturable_updated",
        "customer.subscription.paused",
        "invoice.voided",
        "charge.dispute",
        "CHECKOUT.SESSION.COMPLETED",
    ] {
        for object in [Value::Null, json!({}), json!({"checkout_session": "fcs_1"})] {
            let read = read(event_type, &object);
            assert_eq!(read, Ok(Change::Unhandled), "{event_type}");
        }
    }
}

#[test]
fn a_type_of_which_nothing_is_needed_may_say_anything() {
    for (event_type, _) in event_types().filter(|(_, word)| *word == "not_needed") {
        for object in [
            Value::Null,
            json!([1]),
            json!("x"),
            json!({"customer": {"customer_id": 7}}),
        ] {
            let read = read(event_type, &object);
            assert_eq!(read, Ok(Change::NotNeeded), "{event_type}");
        }
    }
}

#[test]
fn only_money_that_has_come_completes_a_checkout() {
    for (event_type, completed) in [
        ("checkout.session.completed", true),
        ("checkout.session.async_payment_failed", false),
        ("checkout.session.expired", false),
        ("checkout_session.completed", true),
        ("checkout_session.expired", false),
    ] {
        let object = json!({"checkout_session": "fcs_1"});
        let expected = Change::Sale {
            order_id: order_id(),
            completed,
        };
        assert_eq!(read(event_type, &object), Ok(expected), "{event_type}");
    }
    let late = of_sample("checkout.session.async_payment_succeeded");
    let order_id = order_id();
    assert_eq!(late, Change::SalePaid { order_id });
}

#[test]
fn the_resource_is_found_wherever_it_is() {
    for (event_type, _) in acted_on() {
        let (key, mut sample) = sample(event_type);
        sample["new"] = json!([1, {"deep": null}]);
        let wrapped = read(event_type, &json!({key: sample, "other": 1}));
        assert_eq!(wrapped, Ok(of_sample(event_type)), "{event_type}");
        assert_eq!(read(event_type, &sample), wrapped, "{event_type}");
    }
}

#[test]
fn a_bare_id_does_where_nothing_else_is_needed() {
    for (event_type, word) in acted_on() {
        let (key, sample) = sample(event_type);
        let id = sample[format!("{key}_id")].clone();
        let read = read(event_type, &json!({key: id.clone()}));

        match (event_type, word) {
            ("checkout.session.refunded" | "customer.deleted", _) | (_, "checkout") => {
                assert!(
                    matches!(&read, Ok(change) if same_but_for_mode(change, &of_sample(event_type))),
                    "{event_type}"
                );
            }
            (name, "payment") if name.starts_with("payment_intent.") => {
                let Ok(Change::Payment(change)) = read else {
                    panic!("{event_type}: {read:?}")
                };
                let facts = change.facts.unwrap();
                let word = match event_type {
                    "payment_intent.succeeded" => "succeeded",
                    "payment_intent.canceled" => "canceled",
                    _ => "requires_payment_method",
                };
                assert_eq!(facts.value.word, word);
                assert_eq!(facts.value.received, None);
                assert_eq!(json!(change.payment_intent_id), id);
                assert_eq!(change.mode, None);
            }
            ("charge.refunded", _) => {
                assert_eq!(read, Err("object.charge.payment_intent"));
            }
            // A charge without a payment, and a customer without facts.
            (_, "payment" | "customer") => assert_eq!(read, Ok(Change::NotNeeded), "{event_type}"),
            _ => assert_eq!(read, Err(place(key)), "{event_type}"),
        }
    }
}

fn same_but_for_mode(a: &Change, b: &Change) -> bool {
    match (a, b) {
        (Change::Customer(a), Change::Customer(b)) => {
            (&a.customer_id, &a.facts) == (&b.customer_id, &b.facts)
        }
        _ => a == b,
    }
}

fn place(key: &str) -> &'static str {
    match key {
        "checkout_session" => "object.checkout_session",
        "payment_intent" => "object.payment_intent",
        "refund" => "object.refund",
        "dispute" => "object.dispute",
        "subscription" => "object.subscription",
        "invoice" => "object.invoice",
        "customer" => "object.customer",
        other => panic!("{other}"),
    }
}

#[test]
fn an_event_without_its_resource_is_not_understood() {
    for (event_type, _) in acted_on() {
        let (key, sample) = sample(event_type);
        if key == "charge" {
            continue;
        }
        let id = format!("{key}_id");
        let mut nameless = sample.clone();
        nameless[&id] = json!(7);
        let mut odd = sample.clone();
        odd[&id] = json!("two words");
        for object in [
            json!({}),
            json!({key: null}),
            json!({key: 7}),
            json!({key: ["x"]}),
            json!({key: ""}),
            json!({key: "two words"}),
            json!({key: nameless}),
            json!({key: odd}),
            json!({"product": {"product_id": "fprod_1"}}),
        ] {
            let why = read(event_type, &object).unwrap_err();
            assert!(why.starts_with(place(key)), "{event_type}: {object}: {why}");
        }
        for object in [json!(null), json!("x_1"), json!(["x_1"])] {
            assert_eq!(
                read(event_type, &object),
                Err("object"),
                "{event_type}: {object}"
            );
        }
    }
}

#[test]
fn a_payment_that_has_succeeded_tells_so() {
    let bare = payment::PaymentFacts::bare(PaymentStatus::Received, "succeeded", Currency::USD);
    let whole = payment::PaymentFacts {
        received: Some(500),
        amount: Some(500),
        card: Some("primary".to_owned()),
        ..bare.clone()
    };
    let read_whole = of_sample("payment_intent.succeeded");
    assert_eq!(read_whole, succeeded(Mode::Test, whole));
    let mute = json!({"payment_intent": {"payment_intent_id": "fpi_1", "test_mode": false}});
    let read_mute = read("payment_intent.succeeded", &mute);
    assert_eq!(read_mute, Ok(succeeded(Mode::Live, bare)));
}

#[test]
fn a_charge_is_news_of_the_payment_that_it_names() {
    for charge in [
        json!({"payment_intent": "fpi_1"}),
        json!({"payment_intent": {"payment_intent_id": "fpi_1"}}),
        json!({"payment_intent_id": "fpi_1"}),
        json!({"payment_intent": null, "payment_intent_id": "fpi_1"}),
    ] {
        for (event_type, _) in acted_on().filter(|(_, word)| *word == "payment") {
            if event_type.starts_with("charge.") {
                let change = PaymentNews {
                    payment_intent_id: payment(),
                    order_id: None,
                    mode: None,
                    facts: None,
                };
                let read = read(event_type, &json!({"charge": charge}));
                assert_eq!(read, Ok(Change::Payment(change)), "{event_type}: {charge}");
            }
        }
        let refunds = Change::Fetch(reference::Reference::RefundsOfPayment(payment()));
        let read = read("charge.refunded", &json!({"charge": charge}));
        assert_eq!(read, Ok(refunds));
    }
}

#[test]
fn a_charge_that_names_no_payment_is_nothing_to_us_unless_money_went_back() {
    for object in [
        json!({}),
        json!({"charge": "fch_1"}),
        json!({"charge": {"charge_id": "fch_1", "payment_intent": null}}),
        json!(null),
    ] {
        assert_eq!(
            read("charge.succeeded", &object),
            Ok(Change::NotNeeded),
            "{object}"
        );
        let why = read("charge.refunded", &object).unwrap_err();
        assert!("object.charge.payment_intent".starts_with(why), "{object}");
    }
    for payment in [json!("two words"), json!(7), json!({})] {
        let object = json!({"charge": {"payment_intent": payment}});
        for event_type in ["charge.succeeded", "charge.refunded"] {
            let read = read(event_type, &object);
            assert_eq!(read, Err("object.charge.payment_intent"), "{object}");
        }
    }
}

#[test]
fn refunds_are_read_or_looked_for() {
    let all = Change::Fetch(reference::Reference::RefundsOfSale(order_id()));
    assert_eq!(of_sample("checkout.session.refunded"), all);
    for event_type in ["refund.created", "refund.updated", "charge.refund.updated"] {
        let Change::Refund(change) = of_sample(event_type) else {
            panic!("{event_type}")
        };
        assert_eq!(
            (change.refund_id, change.mode),
            (RefundId::new("fre_1").unwrap(), Some(Mode::Test))
        );
    }
    let no_amount = json!({"refund": {"refund_id": "fre_1", "payment_intent_id": "fpi_1", "status": "pending"}});
    let read = read("refund.created", &no_amount);
    assert_eq!(read, Err("object.refund.amount"));
}

#[test]
fn a_dispute_tells_of_its_money_where_the_event_is_about_it() {
    for (event_type, funds) in [
        ("charge.dispute.created", None),
        ("charge.dispute.updated", None),
        ("charge.dispute.closed", None),
        (
            "charge.dispute.funds_withdrawn",
            Some(DisputeFunds::Withdrawn),
        ),
        (
            "charge.dispute.funds_reinstated",
            Some(DisputeFunds::Reinstated),
        ),
    ] {
        let Change::Dispute(change) = of_sample(event_type) else {
            panic!("{event_type}")
        };
        assert_eq!(
            (change.dispute_id, change.funds),
            (DisputeId::new("fdsp_1").unwrap(), funds),
            "{event_type}"
        );
    }
}

#[test]
fn a_subscription_tells_how_we_know() {
    for (event_type, source) in [
        ("customer.subscription.created", Source::Created),
        ("customer.subscription.updated", Source::Updated),
        ("customer.subscription.deleted", Source::Deleted),
    ] {
        let Change::Subscription(change) = of_sample(event_type) else {
            panic!("{event_type}")
        };
        assert_eq!(
            change.subscription_id,
            SubscriptionId::new("fsub_1").unwrap()
        );
        assert_eq!(change.snapshot.source, source, "{event_type}");
    }
}

#[test]
fn an_invoice_is_paid_or_not() {
    for (event_type, event) in [
        ("invoice.paid", InvoiceEvent::Paid),
        ("invoice.payment_succeeded", InvoiceEvent::Paid),
        ("invoice.payment_failed", InvoiceEvent::PaymentFailed),
    ] {
        let Change::Invoice(change) = of_sample(event_type) else {
            panic!("{event_type}")
        };
        assert_eq!(
            (change.invoice_id, change.event),
            (InvoiceId::new("fin_1").unwrap(), event),
            "{event_type}"
        );
        let of_none = json!({"invoice": {"invoice_id": "fin_1", "subscription": null}});
        assert_eq!(
            read(event_type, &of_none),
            Ok(Change::NotNeeded),
            "{event_type}"
        );
    }
}

#[test]
fn a_customer_is_told_of_until_deleted() {
    let facts = CustomerTold {
        name: Some("Pat".to_owned()),
        email: Some("pat@example.com".to_owned()),
    };
    let customer_id = CustomerId::new("fcus_1").unwrap();
    for (event_type, facts) in [
        ("customer.created", Some(facts.clone())),
        ("customer.updated", Some(facts)),
        ("customer.deleted", None),
    ] {
        let expected = CustomerNews {
            customer_id: customer_id.clone(),
            mode: Some(Mode::Test),
            facts: facts.map(CustomerTold::into),
        };
        assert_eq!(
            of_sample(event_type),
            Change::Customer(expected),
            "{event_type}"
        );
    }
}

/// A subscription expands to its invoice, and an invoice to its subscription.
#[test]
fn resources_may_be_expanded_within_each_other_to_the_end() {
    let innermost = json!({"invoice_id": "fin_1", "padding": "x".repeat(200_000)});
    let invoice = (0..60).fold(innermost, |invoice, _| {
        let subscription = json!({"subscription_id": "fsub_1", "latest_invoice": invoice});
        json!({"invoice_id": "fin_1", "subscription": subscription})
    });
    assert!(matches!(
        read("invoice.paid", &json!({"invoice": invoice})),
        Ok(Change::Invoice(_))
    ));
}

/// Every sample delivery of the repository, by the name of its file.
fn deliveries() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../events/flex");
    let mut deliveries = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let body: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            if body.get("event_type").is_some() {
                deliveries.push((
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    body,
                ));
            }
        }
    }
    deliveries
}

#[test]
fn every_sample_delivery_is_read_as_the_table_says() {
    let deliveries = deliveries();
    assert!(deliveries.len() >= 2);
    let words: BTreeMap<_, _> = event_types().collect();
    for (file, body) in deliveries {
        let Reading::Event(event) = crate::read(body.to_string().as_bytes()) else {
            panic!("{file}")
        };
        let Event {
            event_type,
            occurred_at,
            change,
            ..
        } = *event;
        assert!(
            file.starts_with(&event_type) && occurred_at.is_some(),
            "{file}"
        );
        let needed = words
            .get(event_type.as_str())
            .is_some_and(|word| *word != "not_needed");
        assert_eq!(needed, change != Change::NotNeeded, "{file}");
        assert_ne!(change, Change::Unhandled, "{file}");
    }
}

/// Members and texts such as Flex has them, and such as it has not.
fn text() -> impl Strategy<Value = String> {
    let known = "checkout_session checkout_session_id payment_intent payment_intent_id charge refund \
                 refund_id dispute dispute_id subscription subscription_id invoice invoice_id customer \
                 customer_id amount status items price product quantity metadata restock \
                 evidence_details due_by currency current_period_end test_mode fpi_1 succeeded A:2,B \
                 2025-10-10T09:55:10Z";
    let known = prop::sample::select(known.split(' ').collect::<Vec<_>>());
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_under_object_is_read_or_refused_by_its_place(
        nth in 0..EVENT_TYPES.len(),
        object in json_value(),
    ) {
        if let Err(place) = read(EVENT_TYPES[nth].0, &object) {
            prop_assert!(place.starts_with("object"));
        }
    }

    #[test]
    fn a_sample_with_any_member_changed_is_read_or_refused_by_its_place(
        nth in 0..EVENT_TYPES.len(),
        member in any::<prop::sample::Index>(),
        value in json_value(),
    ) {
        let (event_type, _) = EVENT_TYPES[nth];
        let (key, mut sample) = sample(event_type);
        let members: Vec<String> = sample.as_object().unwrap().keys().cloned().collect();
        sample[&members[member.index(members.len())]] = value;
        if let Err(place) = read(event_type, &json!({key: sample})) {
            prop_assert!(place.starts_with("object."));
        }
    }
}
