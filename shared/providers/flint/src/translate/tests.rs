use super::*;
use crate::wire;
use domain::{
    access::subscription::{Source, SubscriptionChange, SubscriptionStatus},
    resource::{Resource, ResourceChange, checkout_session::SessionEnd, invoice::Dunning},
    sale::{
        hold::Hold,
        payment::{PaymentFacts, PaymentStatus},
        refund::RefundStatus,
        shipment::{FulfillmentFacts, Method, Package, Progress},
        statement::{Capture, Sale, SaleKind, SaleStatus, Totals},
    },
    values::{
        facts::Stated,
        ids::{CheckoutSessionId, PaymentIntentId, PaymentMethodId},
        mode::Mode,
    },
};
use jiff::Timestamp;
use reading::{Kind, Readable};
use serde_json::{Value, json};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn asked_at() -> Timestamp {
    time("2026-01-02T00:00:00Z")
}

fn wire<T: Readable>(value: Value) -> T {
    T::read(value).unwrap()
}

fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

/// The value with these members changed. A member's name may be a JSON pointer.
fn with(mut value: Value, changed: Value) -> Value {
    let Value::Object(changed) = changed else {
        panic!("{changed}")
    };
    for (name, new) in changed {
        match value.pointer_mut(&name) {
            Some(place) => *place = new,
            None => value[name] = new,
        }
    }
    value
}

/// A paid order of two shirts and a tip.
fn order() -> Value {
    json!({
        "order_id": "ord_1", "status": "closed", "payment_status": "paid", "refund_status": "none",
        "origin": "checkout", "external_reference_id": "cart-7", "customer_id": "cus_1",
        "customer": {"customer_id": "cus_1", "email": "pat@example.com", "name": "Pat Doe", "phone": "+1 555 0100"},
        "buyer_contact": {"email": "buyer@example.com", "phone": "+1 555 0199"},
        "delivery_destination": {"name": "Pat Doe", "address": {"line1": "1 Main St", "city": "Springfield", "country": "US"}},
        "pricing_amounts": {
            "subtotal_money": usd(5000), "discount_money": usd(500), "charge_money": usd(600),
            "tax_money": usd(400), "requested_tip_money": usd(100), "total_money": usd(5600),
        },
        "settlement_amounts": {"paid_money": usd(5600), "outstanding_money": usd(0), "credit_money": usd(0)},
        "line_items": [{
            "order_line_item_id": "li_1", "name": "Red shirt", "quantity": 2, "unit_price_money": usd(2500),
            "base_subtotal_money": usd(5000), "subtotal_money": usd(5000), "discount_money": usd(500),
            "tax_money": usd(400), "total_money": usd(4900), "sku": "SHIRT-R", "product_id": "prod_1",
            "variant_id": "var_1", "metadata": {"sku": "OTHER", "color": "red"},
            "modifiers": [{"name": "Gift wrap", "show_on_receipt": true}, {"name": "Fragile", "show_on_receipt": false}],
        }],
        "payment_intent_ids": ["pi_1"], "payment_intents": [intent()],
        "checkout_session_ids": ["cs_1", null, "not an id", 2],
        "metadata": {"channel": "web"},
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:05.000001Z",
    })
}

fn intent() -> Value {
    json!({
        "payment_intent_id": "pi_1", "status": "succeeded", "amount_money": usd(5600), "captured_money": usd(5600),
        "payment_flow": "checkout", "payment_source": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
        "last_payment_error": null, "receipt_email": "receipt@example.com", "order_id": "ord_1",
        "captured_at": "2026-01-01T00:00:03Z", "updated_at": "2026-01-01T00:00:04.5Z",
    })
}

fn try_sale(order: Value, payments: &[wire::PaymentIntent]) -> Result<Sale, rest::NotUnderstood> {
    sale::sale(sale::Parts {
        order: &wire(order),
        payments,
        customer: None,
        mode: Mode::Test,
        asked_at: asked_at(),
    })
}

fn sale_of(order: Value) -> Sale {
    try_sale(order, &[]).unwrap()
}

#[test]
fn an_order_becomes_a_sale_with_its_lines_payments_and_customer() {
    let sale = sale_of(order());
    assert_eq!(sale.order_id.as_str(), "ord_1");
    assert_eq!(sale.client_reference_id.as_deref(), Some("cart-7"));
    assert_eq!(
        (sale.status, sale.kind),
        (SaleStatus::Complete, SaleKind::Payment)
    );
    assert_eq!((sale.mode, sale.capture), (Mode::Test, Capture::Automatic));
    let stamp = sale.stamp.unwrap();
    assert_eq!(
        (stamp.version, stamp.at),
        (0, time("2026-01-01T00:00:05.000001Z"))
    );
    let customer = &sale.customer;
    assert_eq!(customer.customer_id.as_ref().unwrap().as_str(), "cus_1");
    assert_eq!(customer.email.as_deref(), Some("buyer@example.com"));
    assert_eq!(customer.name.as_deref(), Some("Pat Doe"));
    let totals = Totals {
        subtotal: 5000,
        discount: 500,
        tax: 400,
        shipping: 0,
        fees: 700,
        total: 5600,
    };
    assert_eq!((sale.totals, sale.tax_included), (totals, false));
    assert_eq!((sale.received, sale.is_unpaid), (Some(5600), false));
    assert!(sale.holds.is_empty());
    let [line] = sale.lines.as_slice() else {
        panic!("{:?}", sale.lines)
    };
    assert_eq!(line.description, "Red shirt (Gift wrap)");
    assert_eq!(
        (line.quantity, line.unit_amount, line.amounts.total),
        (2, Some(2500), 4900)
    );
    assert_eq!(line.sku.as_ref().unwrap().as_str(), "SHIRT-R");
    assert_eq!(line.price_id.as_ref().unwrap().as_str(), "var_1");
    assert_eq!(line.eligibility, None);
    let id = PaymentIntentId::new("pi_1").unwrap();
    assert_eq!(sale.payment_intents, std::slice::from_ref(&id));
    let session = CheckoutSessionId::new("cs_1").unwrap();
    assert_eq!(sale.checkout_sessions, [session].into());
    assert_eq!(sale.payments[&id].at, Some(time("2026-01-01T00:00:04.5Z")));
    let details = &sale.details;
    assert_eq!(details.payment_methods[&id].last4.as_deref(), Some("4242"));
    assert_eq!(details.phone.as_deref(), Some("+1 555 0199"));
    let shipping = details.shipping.as_ref().unwrap();
    let line1 = shipping.address.as_ref().unwrap().line1.as_deref();
    assert_eq!(line1, Some("1 Main St"));
}

#[test]
fn the_state_of_an_order_is_a_pair_of_words() {
    use SaleStatus::{Canceled, Complete, Other};
    for (status, payment_status, expected, is_unpaid) in [
        ("closed", Some("paid"), Complete, false),
        ("open", Some("paid"), Complete, false),
        ("open", Some("partially_paid"), Complete, false),
        ("open", Some("unpaid"), Complete, true),
        ("closed", Some("unpaid"), Canceled, true),
        ("closed", Some("partially_paid"), Canceled, false),
        ("open", Some("settled"), Other("settled".to_owned()), false),
        // The older generation.
        ("paid", None, Complete, false),
    ] {
        let changed = json!({"status": status, "payment_status": payment_status});
        let sale = sale_of(with(order(), changed.clone()));
        assert_eq!(
            (sale.status, sale.is_unpaid),
            (expected, is_unpaid),
            "{changed}"
        );
    }
}

#[test]
fn received_money_includes_credits_and_settles_a_paid_order() {
    let received = |payment_status: &str, paid: i64, credit: i64, outstanding: i64| {
        let settlement = json!({
            "paid_money": usd(paid), "credit_money": usd(credit), "outstanding_money": usd(outstanding),
        });
        let changed = json!({"payment_status": payment_status, "settlement_amounts": settlement});
        sale_of(with(order(), changed)).received
    };
    assert_eq!(received("paid", 5600, 0, 0), Some(5600));
    assert_eq!(received("paid", 600, 5000, 0), Some(5600));
    assert_eq!(received("paid", 600, 0, 0), Some(5600));
    assert_eq!(received("partially_paid", 600, 0, 5000), Some(600));
    let none = with(order(), json!({"settlement_amounts": null}));
    assert_eq!(sale_of(none).received, None);
}

#[test]
fn goods_are_kept_back_by_any_word_but_those_that_release_them() {
    let hold = |changed: Value| sale_of(with(order(), changed)).holds.into_iter().next();
    for (word, expected) in [
        (Some("paid_inventory_failed"), Some(Hold::Inventory)),
        (Some("something_new"), Some(Hold::Inventory)),
        (Some("resolved"), None),
        (None, None),
    ] {
        let changed = json!({"inventory_exception_status": word});
        assert_eq!(hold(changed), expected, "{word:?}");
    }
    for (word, expected) in [
        ("partially_refunded", Some(Hold::PartialRefund)),
        ("something_new", Some(Hold::PartialRefund)),
        ("refunded", Some(Hold::Refund)),
        ("none", None),
    ] {
        assert_eq!(hold(json!({"refund_status": word})), expected, "{word}");
    }
}

#[test]
fn a_cycle_of_a_subscription_is_its_start_or_a_renewal() {
    let kind = |flow: &str, cycle: Value, origin: &str| {
        let intents = json!([with(intent(), json!({"payment_flow": flow}))]);
        let changed = json!({
            "subscription_id": "sub_1", "subscription_cycle": cycle, "origin": origin, "payment_intents": intents,
        });
        sale_of(with(order(), changed)).kind
    };
    let (initial, renewal) = ("subscription_initial", "subscription_renewal");
    for (flow, cycle, origin, expected) in [
        (initial, json!(2), "subscription", SaleKind::Subscription),
        (renewal, json!(1), "checkout", SaleKind::Renewal),
        ("checkout", json!(1), "subscription", SaleKind::Subscription),
        ("checkout", json!("2"), "checkout", SaleKind::Renewal),
        ("checkout", json!(null), "subscription", SaleKind::Renewal),
        ("checkout", json!(null), "checkout", SaleKind::Subscription),
    ] {
        assert_eq!(kind(flow, cycle, origin), expected, "{flow} {origin}");
    }
}

#[test]
fn the_receipt_goes_to_the_first_address_that_is_stated() {
    let email = |changed: Value| sale_of(with(order(), changed)).customer.email;
    assert_eq!(
        email(json!({"buyer_contact": null})).as_deref(),
        Some("pat@example.com")
    );
    let neither = json!({"buyer_contact": null, "customer": "cus_1"});
    assert_eq!(email(neither).as_deref(), Some("receipt@example.com"));
    let nobody =
        json!({"buyer_contact": null, "customer": null, "/payment_intents/0/receipt_email": null});
    assert_eq!(email(nobody), None);
}

#[test]
fn an_order_without_a_time_has_that_of_the_read() {
    let sale = sale_of(with(order(), json!({"updated_at": null})));
    assert_eq!(sale.stamp.unwrap().at, asked_at());
}

#[test]
fn an_amount_is_a_whole_number_or_its_digits_in_one_currency() {
    let total = |money: Value| {
        let order = with(order(), json!({"/pricing_amounts/total_money": money}));
        try_sale(order, &[]).map(|sale| sale.totals.total)
    };
    let usd = |amount: &Value| total(json!({"amount": amount, "currency": "USD"}));
    for amount in [json!(5600), json!("5600"), json!(" 5600 "), json!(5600.0)] {
        assert_eq!(usd(&amount), Ok(5600), "{amount}");
    }
    for amount in [
        json!(56.5),
        json!("56.5"),
        json!("$56"),
        json!(true),
        json!(null),
    ] {
        assert!(usd(&amount).is_err(), "{amount}");
    }
    for money in [
        json!({"amount": 5600, "currency": "EUR"}),
        json!({"amount": 5600}),
        json!(5600),
        json!(null),
    ] {
        assert!(total(money.clone()).is_err(), "{money}");
    }
}

#[test]
fn a_line_that_is_not_understood_fails_the_order_and_none_is_counted_twice() {
    let line = |changed: Value| {
        let line = with(order()["line_items"][0].clone(), changed);
        try_sale(with(order(), json!({"line_items": [line]})), &[])
    };
    for changed in [
        json!({"quantity": 1.5}),
        json!({"quantity": -1}),
        json!({"order_line_item_id": null}),
        json!({"total_money": null}),
        json!({"sku": {"x": 1}}),
    ] {
        assert!(line(changed.clone()).is_err(), "{changed}");
    }
    let sku = |changed: Value| {
        line(changed).unwrap().lines[0]
            .sku
            .clone()
            .map(String::from)
    };
    assert_eq!(sku(json!({"sku": null})).as_deref(), Some("OTHER"));
    assert_eq!(sku(json!({"sku": null, "metadata": null})), None);
    let one = &order()["line_items"][0];
    let twice = try_sale(with(order(), json!({"line_items": [one, one]})), &[]);
    let why = rest::NotUnderstood::Twice("line_items[].order_line_item_id");
    assert_eq!(twice.unwrap_err(), why);
}

#[test]
fn a_total_that_contains_its_tax_is_known_by_its_sum() {
    let total = json!({"/pricing_amounts/total_money": usd(5200)});
    assert!(sale_of(with(order(), total)).tax_included);
}

#[test]
fn payments_that_were_read_singly_count_like_expanded_ones() {
    let bare = with(order(), json!({"payment_intents": null}));
    let read = [wire(intent())];
    assert_eq!(try_sale(bare, &read).unwrap(), sale_of(order()));
}

fn facts_of(changed: Value) -> Stated<PaymentFacts> {
    payment::facts(&wire(with(intent(), changed))).unwrap()
}

#[test]
fn the_status_of_a_payment_is_the_resources_own_word() {
    for (word, is_declined, status) in [
        ("requires_payment_method", false, PaymentStatus::Open),
        ("requires_payment_method", true, PaymentStatus::Failed),
        ("requires_confirmation", false, PaymentStatus::Open),
        ("requires_action", true, PaymentStatus::Open),
        ("processing", false, PaymentStatus::Processing),
        ("requires_capture", false, PaymentStatus::Authorized),
        ("canceled", false, PaymentStatus::Canceled),
        ("expired", false, PaymentStatus::Canceled),
        ("succeeded", false, PaymentStatus::Received),
        ("paid", false, PaymentStatus::Unknown),
    ] {
        let problem = is_declined.then(|| json!({"code": "card_declined", "message": "…"}));
        let facts = facts_of(json!({"status": word, "last_payment_error": problem}));
        assert_eq!((facts.status, facts.word.as_str()), (status, word));
    }
    let failed = facts_of(json!({"last_payment_error": {"code": "card_declined"}}));
    assert_eq!(failed.failure.as_deref(), Some("card_declined"));
}

#[test]
fn a_payment_is_held_until_its_hold_is_released() {
    let held = |hold: Value| facts_of(json!({"fulfillment_hold": hold})).is_held;
    for (hold, expected) in [
        (json!({"status": "active"}), true),
        (json!({"status": "something_new"}), true),
        (json!({}), true),
        (json!({"status": "released"}), false),
        (json!(null), false),
    ] {
        assert_eq!(held(hold.clone()), expected, "{hold}");
    }
}

#[test]
fn a_payment_names_its_order_and_its_amounts() {
    let capturable = json!({"status": "requires_capture", "captured_money": usd(100), "capturable_money": usd(5500)});
    let change = payment::payment(&wire(with(intent(), capturable)), Mode::Live).unwrap();
    assert_eq!(change.order_id.unwrap().as_str(), "ord_1");
    assert_eq!(change.mode, Some(Mode::Live));
    let facts = change.facts.unwrap();
    assert_eq!(
        (facts.amount, facts.received, facts.capturable),
        (Some(5600), Some(100), Some(5500))
    );
    assert_eq!(facts.made_at, Some(time("2026-01-01T00:00:03Z")));
}

fn refund_value() -> Value {
    json!({
        "refund_id": "ref_1", "status": "succeeded", "amount_money": usd(500), "order_id": "ord_1",
        "payment_intent_id": "pi_1", "updated_at": "2026-01-03T00:00:00Z",
    })
}

#[test]
fn a_refund_has_its_state_and_the_place_of_its_payment() {
    let id = PaymentIntentId::new("pi_1").unwrap();
    let of = |word: &str| {
        let refund = wire(with(refund_value(), json!({"status": word})));
        refund::refund(&refund, id.clone(), Mode::Test)
    };
    for (word, status) in [
        ("pending", RefundStatus::Pending),
        ("requires_action", RefundStatus::Pending),
        ("in_transit", RefundStatus::Pending),
        ("succeeded", RefundStatus::Succeeded),
        ("failed", RefundStatus::Failed),
        ("canceled", RefundStatus::Canceled),
        ("something_new", RefundStatus::Unknown),
    ] {
        let facts = of(word).unwrap().facts;
        assert_eq!((facts.status, facts.amount), (status, 500), "{word}");
        assert_eq!(facts.at, Some(time("2026-01-03T00:00:00Z")));
    }
    let part = NotUnderstood::Malformed("status", Kind::Text);
    assert_eq!(of("partially_succeeded").unwrap_err(), part);
    let source = |changed: Value| refund::source(&wire(with(refund_value(), changed)));
    assert_eq!(source(json!({})), Ok(refund::Source::Payment(id)));
    let order = source(json!({"payment_intent_id": null}));
    assert!(matches!(order, Ok(refund::Source::Order(_))), "{order:?}");
    let invoice =
        source(json!({"payment_intent_id": null, "order_id": null, "invoice_id": "inv_1"}));
    assert!(
        matches!(invoice, Ok(refund::Source::Invoice(_))),
        "{invoice:?}"
    );
    let none = source(json!({"payment_intent_id": null, "order_id": null}));
    assert_eq!(none, Err(NotUnderstood::Missing("payment_intent_id")));
}

fn subscription_of(changed: Value) -> SubscriptionChange {
    let subscription = json!({
        "subscription_id": "sub_1", "customer_id": "cus_1", "status": "active", "plan_id": "plan_1",
        "payment_method_id": "pm_1",
        "cancel_at_period_end": true, "current_period_start": "2026-01-01T00:00:00Z",
        "current_period_end": "2026-02-01T00:00:00Z", "updated_at": "2026-01-01T00:00:01.25Z",
        "created_at": "2025-12-01T00:00:00Z",
    });
    subscription::subscription(&wire(with(subscription, changed)), Mode::Test).unwrap()
}

#[test]
fn a_subscription_gives_its_plan_for_the_paid_period() {
    let change = subscription_of(json!({}));
    let facts = &change.snapshot;
    assert_eq!(facts.at, Some(time("2026-01-01T00:00:01.25Z")));
    assert_eq!(
        (&facts.status, facts.source),
        (&SubscriptionStatus::Active, Source::Read)
    );
    assert!(facts.cancel_at_period_end);
    assert_eq!(facts.paid_through, Some(time("2026-02-01T00:00:00Z")));
    assert_eq!(facts.paid_through, facts.period_end);
    let product = facts.items[0].product_id.as_ref().unwrap();
    assert_eq!(product.as_str(), "plan_1");
    let method = facts.payment_method_id.as_ref();
    assert_eq!(method.map(PaymentMethodId::as_str), Some("pm_1"));
    let renamed = subscription_of(json!({"plan_id": null, "subscription_plan_id": "plan_2"}));
    let product = renamed.snapshot.items[0].product_id.as_ref().unwrap();
    assert_eq!(product.as_str(), "plan_2");
}

#[test]
fn only_an_active_subscription_is_paid_and_only_a_canceled_one_has_ended() {
    let at = "2026-01-15T00:00:00Z";
    for word in [
        "trialing",
        "past_due",
        "paused",
        "canceled",
        "incomplete",
        "something_new",
    ] {
        let changed = json!({"status": word, "paused_at": at, "canceled_at": at});
        let facts = subscription_of(changed).snapshot;
        assert_eq!(facts.paid_through, None, "{word}");
        let (paused, ended) = (word == "paused", word == "canceled");
        assert_eq!(facts.suspended_at, paused.then(|| time(at)), "{word}");
        assert_eq!(facts.ended_at, ended.then(|| time(at)), "{word}");
        assert_eq!(facts.source == Source::Deleted, ended, "{word}");
    }
}

#[test]
fn a_fulfillment_is_as_far_as_its_state() {
    for (word, progress) in [
        ("pending", Progress::Waiting),
        ("packed", Progress::Preparing),
        ("dispatched", Progress::Underway),
        ("completed", Progress::Completed),
        ("no_show", Progress::Failed),
        ("canceled", Progress::Canceled),
        ("something_new", Progress::Unknown),
    ] {
        // As the API and its events name it.
        for member in ["status", "state"] {
            let fulfillment = json!({
                "fulfillment_id": "ful_1", "order_id": "ord_1", "type": "local_delivery", member: word,
                "updated_at": "2026-01-01T00:00:00.5Z",
            });
            let change = shipment::fulfillment(&wire(fulfillment), Mode::Test).unwrap();
            assert_eq!(change.facts.progress, progress, "{word}");
            assert_eq!(change.facts.method, Some(Method::LocalDelivery));
            assert_eq!(change.facts.at, Some(time("2026-01-01T00:00:00.5Z")));
        }
    }
}

/// The goods and the packages of a fulfillment with these members.
fn contents(members: Value) -> (Vec<(String, u32)>, Vec<Package>) {
    let fulfillment = json!({
        "fulfillment_id": "ful_1", "order_id": "ord_1", "type": "shipment", "status": "dispatched",
    });
    let change = shipment::fulfillment(&wire(with(fulfillment, members)), Mode::Test).unwrap();
    let FulfillmentFacts {
        goods, packages, ..
    } = change.facts.value;
    let goods = goods.into_iter().map(|(id, n)| (id.to_string(), n));
    (goods.collect(), packages)
}

#[test]
fn a_fulfillment_has_all_its_goods_or_none() {
    let goods = |id: &str, quantity: Value| json!({"order_line_item_id": id, "quantity": quantity});
    let two = vec![("li_1".to_owned(), 2), ("li_2".to_owned(), 1)];
    for (line_items, expected) in [
        (json!(null), vec![]),
        (
            json!([goods("li_1", json!("2")), goods("li_2", json!(1))]),
            two,
        ),
        (json!([goods("li_1", json!(2)), {"quantity": 1}]), vec![]),
        (json!([goods("li_1", json!(-2))]), vec![]),
        (json!([7]), vec![]),
        (json!("li_1"), vec![]),
    ] {
        let (goods, _) = contents(json!({"line_items": line_items}));
        assert_eq!(goods, expected, "{line_items}");
    }
}

#[test]
fn a_fulfillment_has_the_packages_that_can_be_followed_and_still_come() {
    let package = |status: &str, number: &str| {
        json!({
            "status": status, "carrier": "Example Post", "tracking_number": number,
            "tracking_url": "https://track.example.com/1",
        })
    };
    let (_, packages) = contents(json!({
        "packages": [
            package("in_transit", "EX-1"), package("voided", "EX-2"), package("returned", "EX-3"),
            {"status": "packed"}, 7, {"carrier": 7, "tracking_number": "EX-4"},
        ],
        "local_delivery_details": {"tracking_url": "https://track.example.com/2"},
    }));
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        Package {
            carrier: text("Example Post"),
            tracking_number: text("EX-1"),
            tracking_url: text("https://track.example.com/1"),
        },
        Package {
            tracking_number: text("EX-4"),
            ..Package::default()
        },
        Package {
            tracking_url: text("https://track.example.com/2"),
            ..Package::default()
        },
    ];
    assert_eq!(packages, expected);
}

/// The row that a change alone makes.
fn row(change: &ResourceChange) -> Resource {
    let provider = "flint".parse().unwrap();
    Resource::learn(None, &provider, change, asked_at())
}

#[test]
fn an_invoice_has_its_version_its_amounts_and_its_attempts() {
    let invoice = json!({
        "invoice_id": "inv_1", "version": 4, "status": "open", "order_id": "ord_1", "customer_id": "cus_1",
        "outstanding_money": usd(900), "paid_money": usd(100), "collection_block_status": "inventory_blocked",
        "due_at": "2026-01-10T00:00:00Z", "updated_at": "2026-01-05T00:00:00.125Z",
    });
    let attempts = json!([
        {"invoice_payment_attempt_id": "invpa_1", "status": "failed", "updated_at": "2026-01-04T00:00:00Z"},
        {"invoice_payment_attempt_id": "invpa_2", "payment_attempt_status": "canceled"},
    ]);
    let attempts = Field::of(attempts);
    let of =
        |changed| resource::invoice(&wire(with(invoice.clone(), changed)), &attempts, Mode::Test);
    let Resource::Invoice(row) = row(&of(json!({})).unwrap()) else {
        panic!()
    };
    assert_eq!(row.attempts.len(), 2);
    assert_eq!(row.failed_at, Some(time("2026-01-04T00:00:00Z")));
    assert_eq!(row.status.stamp().map(|stamp| stamp.version), Some(4));
    let since = time("2026-01-04T00:00:00Z");
    assert_eq!(row.dunning(asked_at()), Dunning::Suspended { since });
    assert!(of(json!({"version": null})).is_err());
    assert!(of(json!({"paid_money": {"amount": 1, "currency": "EUR"}})).is_err());
}

#[test]
fn a_movement_has_its_amounts_and_what_caused_it() {
    let movement = json!({
        "balance_transaction_id": "btxn_1", "type": "payment", "status": "available", "amount_money": usd(5600),
        "fee_money": usd(-175), "net_money": usd(5425), "occurred_at": "2026-01-01T00:00:00Z",
        "related_resource": {"type": "payment_intent", "payment_intent_id": "pi_1"},
    });
    let change = resource::transaction(&wire(movement), Mode::Test).unwrap();
    let Resource::Transaction(row) = row(&change) else {
        panic!("{change:?}")
    };
    let entry = row.entry.get().unwrap();
    assert_eq!(
        (entry.fee, entry.net, entry.fee_disagrees),
        (175, 5425, true)
    );
    let related = row.related.get().unwrap();
    assert_eq!(
        (related.kind.as_str(), related.id.as_str()),
        ("payment_intent", "pi_1")
    );
}

#[test]
fn a_saved_payment_method_is_usable_without_the_buyer_only_if_it_says_so() {
    let usable = |status: &str, usage: Value| {
        let method = json!({
            "payment_method_id": "pm_1", "customer_id": "cus_1", "type": "card", "status": status, "usage": usage,
        });
        let change = resource::payment_method(&wire(method), Mode::Test).unwrap();
        match row(&change) {
            Resource::PaymentMethod(row) => row.is_usable_off_session(),
            other => panic!("{other:?}"),
        }
    };
    assert!(usable("active", json!("off_session")));
    assert!(!usable("active", json!("on_session")));
    assert!(!usable("active", json!(null)));
    assert!(!usable("failed", json!("off_session")));
}

#[test]
fn a_merchant_can_take_payments_only_while_it_is_ready() {
    let row = |status: &str| {
        let merchant = json!({
            "merchant_id": "mer_1", "observed_at": "2026-01-01T00:00:00.5Z",
            "payments": {"status": status, "status_reason": null, "next_actions": [{"action_type": "create", "url": "https://x"}]},
            "payouts": {"status": "blocked", "status_reason": "requirements_due"},
            "requirements": {"currently_due": ["owner.name"], "past_due": [], "disabled_reason": null},
        });
        let capabilities = json!([
            {"capability": "accept_card_payments", "domain": "payments", "status": "ready", "observed_at": "2026-01-01T00:00:00Z"},
        ]);
        let change = resource::merchant(&wire(merchant), &Field::of(capabilities), Mode::Test);
        match row(&change.unwrap()) {
            Resource::Merchant(row) => row,
            other => panic!("{other:?}"),
        }
    };
    let ready = row("ready");
    assert!(ready.can_take_payments());
    let observed_at = ready.payments.stamp().unwrap().at;
    assert_eq!(observed_at, time("2026-01-01T00:00:00.5Z"));
    assert!(ready.capabilities.contains_key("accept_card_payments"));
    assert!(ready.next_actions.get().unwrap().contains("create"));
    assert!(!row("something_new").can_take_payments());
}

#[test]
fn a_checkout_session_ends_as_its_status_and_reason_say() {
    let end = |changed: Value| {
        let session = json!({
            "checkout_session_id": "cs_1", "status": "expired", "terminal_reason": "expired", "order_id": "ord_1",
            "buyer_contact": {"email": "pat@example.com"}, "expires_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:02Z",
        });
        let change = resource::checkout_session(&wire(with(session, changed)), Mode::Test).unwrap();
        match row(&change) {
            Resource::CheckoutSession(row) => row,
            other => panic!("{other:?}"),
        }
    };
    let expired = end(json!({}));
    assert_eq!(expired.end(), SessionEnd::Abandoned);
    assert!(expired.contact_at(time("2026-01-30T00:00:00Z")).is_some());
    assert!(expired.contact_at(time("2026-02-01T00:00:00Z")).is_none());
    let next = json!({"status": "invalidated", "terminal_reason": "superseded", "superseding_checkout_session_id": "cs_2"});
    assert!(matches!(end(next).end(), SessionEnd::Superseded(Some(_))));
    assert_eq!(end(json!({"status": "paid"})).end(), SessionEnd::Paid);
    assert_eq!(end(json!({"status": "something_new"})).ended_at, None);
}
