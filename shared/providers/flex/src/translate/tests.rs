use super::*;
use domain::sale::statement::{Certification, LineItem};
use serde_json::{Value, json};

const SESSION: &str = include_str!("../../../../../events/flex/api/session.json");
const LINES: &str = include_str!("../../../../../events/flex/api/line_items.json");
const CUSTOMER: &str = include_str!("../../../../../events/flex/api/customer.json");

fn resource(file: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(file).unwrap()[name].take()
}

fn session() -> Value {
    resource(SESSION, "checkout_session")
}

fn first_line() -> Value {
    resource(LINES, "line_items")[0].take()
}

fn translated(session: Value, lines: Value, customer: Value) -> Result<Sale, NotUnderstood> {
    let customer: Field<WireCustomer> = Field::of(customer);
    sale(
        &serde_json::from_value(session).unwrap(),
        &Field::of(lines),
        customer.known(),
    )
}

fn missing(place: &'static str) -> NotUnderstood {
    NotUnderstood::Member(reading::NotUnderstood::Missing(place))
}

/// The place of a member that is there and not understood.
fn malformed<T: std::fmt::Debug>(read: Result<T, NotUnderstood>) -> &'static str {
    match read {
        Err(NotUnderstood::Member(reading::NotUnderstood::Malformed(place, _))) => place,
        other => panic!("{other:?}"),
    }
}

/// The sample session with some members changed.
fn with(changes: Value) -> Result<Sale, NotUnderstood> {
    let mut session = session();
    merge(&mut session, changes);
    translated(session, json!([]), Value::Null)
}

/// The first sample line with some members changed.
fn line_with(changes: Value) -> Result<domain::sale::statement::LineItem, NotUnderstood> {
    let mut line = first_line();
    merge(&mut line, changes);
    translated(session(), json!([line]), Value::Null).map(|mut sale| sale.lines.remove(0))
}

/// Checks that each of these odd values of a member is refused, with the member's place.
pub(super) fn assert_refused<T: std::fmt::Debug>(
    with: impl Fn(&str, Value) -> Result<T, &'static str>,
    thing: &str,
    members: &[&str],
    odd: &[Value],
) {
    for name in members {
        for odd in odd {
            let place = with(name, odd.clone()).unwrap_err();
            assert_eq!(place, format!("object.{thing}.{name}"), "{odd}");
        }
    }
}

/// Checks that a thing is of no use without any of these members.
pub(super) fn assert_needed<T: std::fmt::Debug>(
    with: impl Fn(&str, Value) -> Result<T, &'static str>,
    thing: &str,
    members: &[&str],
) {
    let odd = [
        json!(null),
        json!({}),
        json!(""),
        json!(-5),
        json!(1.5),
        json!([]),
    ];
    assert_refused(with, thing, members, &odd);
}

/// Checks that any of these members may be missing, and that none is guessed.
pub(super) fn assert_optional<T: std::fmt::Debug>(
    with: impl Fn(&str, Value) -> Result<T, &'static str>,
    thing: &str,
    members: &[&str],
) {
    for name in members {
        assert!(with(name, Value::Null).is_ok(), "{name}");
    }
    let odd = [json!("two words"), json!(-1.5), json!({}), json!([7])];
    assert_refused(with, thing, members, &odd);
}

fn merge(target: &mut Value, changes: Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(target.entry(name).or_insert(Value::Null), change);
            }
        }
        (target, change) => *target = change,
    }
}

#[test]
fn the_sample_session_is_understood_whole() {
    let sale = translated(
        session(),
        resource(LINES, "line_items"),
        resource(CUSTOMER, "customer"),
    )
    .unwrap();
    assert_eq!(sale.order_id.as_str(), "fcs_01K76N0000000000000000000B");
    assert_eq!(sale.client_reference_id.as_deref(), Some("order-1042"));
    assert_eq!(
        (sale.status, sale.kind),
        (SaleStatus::Complete, SaleKind::Payment)
    );
    assert_eq!((sale.capture, sale.mode), (Capture::Automatic, Mode::Test));
    assert_eq!(sale.created_at.unwrap().as_second(), 1_760_089_900);
    assert_eq!(
        sale.customer.customer_id.unwrap().as_str(),
        "fcus_01K76N0000000000000000000C"
    );
    assert_eq!(sale.customer.name.as_deref(), Some("Pat Doe"));
    assert_eq!(sale.customer.email.as_deref(), Some("pat@example.com"));
    let totals = Totals {
        subtotal: 6499,
        discount: 500,
        tax: 495,
        shipping: 500,
        fees: 0,
        total: 6994,
    };
    assert_eq!((sale.totals, sale.received), (totals, Some(6994)));
    assert_eq!(sale.payment_intents.len(), 2);
    assert_eq!(
        sale.lines
            .iter()
            .map(|line| line.amounts.total)
            .sum::<i64>(),
        6994
    );
    let details = &sale.details;
    let shipping = details.shipping.as_ref().unwrap();
    assert_eq!(details.phone.as_deref(), Some("+15555550100"));
    assert_eq!(shipping.phone.as_deref(), Some("+15555550101"));
    let address = shipping.address.as_ref().unwrap();
    assert_eq!(address.postal_code.as_deref(), Some("78701"));
    assert_eq!(
        (shipping.option.as_deref(), shipping.amount),
        (Some("Ground"), Some(500))
    );
    assert_eq!(details.discounts.len(), 1);
    assert_eq!(details.tax_rate.as_ref().unwrap().amount, Some(495));
    assert_eq!(
        (details.origin.as_deref(), sale.fulfilled_elsewhere),
        (None, false)
    );
    assert_eq!(details.metadata.entries["cart"], "c-76");
    assert_eq!(sale.lines[0].metadata.entries["bin"], "A-7");
    let line = &sale.lines[0];
    assert_eq!(line.line_item_id.as_str(), "fli_01K76N00000000000000000001");
    assert_eq!(line.description, "Knee brace, adjustable, size M");
    assert_eq!((line.quantity, line.unit_amount), (2, Some(2499)));
    let amounts = Totals {
        subtotal: 4998,
        discount: 500,
        tax: 371,
        shipping: 300,
        fees: 0,
        total: 5169,
    };
    assert_eq!(line.amounts, amounts);
    assert_eq!(certification(line), Some(Certification::Certified));
    assert_eq!(
        line.product_id.as_ref().unwrap().as_str(),
        "fprod_01K76N00000000000000000001"
    );
    assert_eq!(
        line.price_id.as_ref().unwrap().as_str(),
        "fprice_01K76N00000000000000000001"
    );
    assert_eq!(line.sku.as_ref().unwrap().as_str(), "BRACE-M");
    assert_eq!(
        certification(&sale.lines[1]),
        Some(Certification::NotEligible)
    );
}

/// The sample session of Flex's guides, an old form: no reference, no lists, and nulls for absent
/// values.
#[test]
fn a_session_of_the_oldest_form_is_understood() {
    let delivery: Value = serde_json::from_str(include_str!(
        "../../../../../events/flex/checkout.session.completed.json"
    ))
    .unwrap();
    let mut session = delivery["object"]["checkout_session"].clone();
    merge(
        &mut session,
        json!({"total_details": {"amount_discount": null, "amount_tax": null, "amount_shipping": null}}),
    );
    let sale = translated(session, json!([]), Value::Null).unwrap();
    assert_eq!((sale.client_reference_id, sale.received), (None, None));
    assert_eq!(
        (sale.totals.discount, sale.totals.tax, sale.totals.shipping),
        (0, 0, 0)
    );
    assert_eq!(sale.customer.email.as_deref(), Some("pat@example.com"));
    assert_eq!(sale.payment_intents.len(), 1);
}

#[test]
fn a_session_with_everything_expanded_is_understood() {
    let delivery: Value = serde_json::from_str(include_str!(
        "../../../../../events/flex/checkout.session.completed.expanded.json"
    ))
    .unwrap();
    let sale = translated(
        delivery["object"]["checkout_session"].clone(),
        json!([]),
        Value::Null,
    )
    .unwrap();
    assert_eq!(sale.kind, SaleKind::Subscription);
    assert_eq!(sale.capture, Capture::Automatic);
    assert_eq!(sale.customer.name.as_deref(), Some("Pat Doe"));
    assert_eq!(
        sale.customer.customer_id.unwrap().as_str(),
        "fcus_01K76N0000000000000000000C"
    );
    assert_eq!(
        sale.payment_intents[0].as_str(),
        "fpi_01k76n0000000000000000000h"
    );
    assert_eq!(sale.payments[&sale.payment_intents[0]].received, Some(4999));
    assert_eq!(
        sale.subscription_id.unwrap().as_str(),
        "fsub_01k76n0000000000000000000j"
    );
    assert_eq!(
        sale.invoice_id.unwrap().as_str(),
        "fin_01k76n0000000000000000000k"
    );
}

#[test]
fn an_order_cannot_do_without_these() {
    for member in [
        "checkout_session_id",
        "status",
        "mode",
        "test_mode",
        "amount_total",
        "amount_subtotal",
    ] {
        assert_eq!(with(json!({member: null})), Err(missing(member)));
    }
    for (member, place) in [
        ("line_item_id", "line_items[].line_item_id"),
        ("quantity", "line_items[].quantity"),
        ("amount_subtotal", "line_items[].amount_subtotal"),
        ("amount_total", "line_items[].amount_total"),
    ] {
        assert_eq!(line_with(json!({member: null})), Err(missing(place)));
    }
    for quantity in [json!(-1), json!(4_294_967_296_u64), json!(1.5), json!("1")] {
        let place = malformed(line_with(json!({"quantity": quantity})));
        assert_eq!(place, "line_items[].quantity");
    }
    let line = first_line();
    let twice = translated(session(), json!([line, line]), Value::Null);
    assert_eq!(
        twice,
        Err(NotUnderstood::Twice("line_items[].line_item_id"))
    );
    let beside = translated(session(), json!([line, "fli_2"]), Value::Null);
    assert_eq!(malformed(beside), "line_items");
}

#[test]
fn an_amount_is_whole_cents_or_an_error() {
    for odd in [
        json!("4.99"),
        json!(4.99),
        json!({}),
        json!(true),
        json!(u64::MAX),
    ] {
        let why = with(json!({"total_details": {"amount_tax": odd}}));
        assert_eq!(malformed(why), "total_details.amount_tax");
        let why = with(json!({"amount_received": odd}));
        assert_eq!(malformed(why), "amount_received");
        let why = line_with(json!({"amount_discount": odd}));
        assert_eq!(malformed(why), "line_items[].amount_discount");
    }
    let whole = with(json!({"amount_total": 6994.0})).unwrap();
    assert_eq!(whole.totals.total, 6994);
}

#[test]
fn members_without_effect_may_be_of_any_kind() {
    let odd = json!({
        "client_reference_id": [], "customer_email": {}, "defaults": "x", "customer_details": 7,
        "metadata": "text", "invented": {"deep": [1, 2]},
    });
    let sale = with(odd).unwrap();
    assert_eq!(sale.client_reference_id, None);
    assert_eq!(sale.customer.email, None);
}

#[test]
fn a_member_with_an_effect_is_understood_or_named() {
    for (member, odd) in [
        ("created_at", json!("soon")),
        ("test_mode", json!("true")),
        ("status", json!(7)),
        ("mode", json!({})),
        ("capture_method", json!(true)),
        ("total_details", json!([])),
        ("fees", json!("none")),
        ("fees", json!([7])),
        ("fees", json!([{"amount": "1"}])),
        ("payment_intents", json!({})),
        ("payment_intents[]", json!([{}])),
        ("payment_intents[]", json!(["two words"])),
        ("subscription", json!(7)),
        ("subscription", json!({})),
        ("subscription", json!("two words")),
        ("invoice", json!([])),
    ] {
        let name = member.trim_end_matches("[]");
        assert_eq!(malformed(with(json!({name: odd.clone()}))), member, "{odd}");
    }
    let customer = with(json!({"customer": [], "customer_id": null}));
    assert_eq!(malformed(customer), "customer");
    let elsewhere = with(json!({"customer": [], "customer_id": "fcus_1"})).unwrap();
    assert_eq!(elsewhere.customer.customer_id.unwrap().as_str(), "fcus_1");
}

#[test]
fn a_word_that_we_do_not_know_is_kept() {
    let sale = with(json!({"status": "on_hold", "mode": "gift"})).unwrap();
    assert_eq!(sale.status, SaleStatus::Other("on_hold".to_owned()));
    assert_eq!(sale.kind, SaleKind::Other("gift".to_owned()));
    let line = line_with(json!({"eligibility": "service"})).unwrap();
    assert_eq!(line.eligibility.unwrap().word, "service");
    for (word, status) in [
        ("complete", SaleStatus::Complete),
        ("paid", SaleStatus::Complete),
        ("open", SaleStatus::Open),
        ("expired", SaleStatus::Expired),
        ("canceled", SaleStatus::Canceled),
    ] {
        let sale = with(json!({"status": word})).unwrap();
        assert_eq!(sale.status, status, "{word}");
    }
    let later = with(json!({"mode": "off_session"})).unwrap();
    assert_eq!(later.kind, SaleKind::OffSession);
}

#[test]
fn an_unknown_way_of_capture_waits_for_the_money() {
    let capture = |word: Value| with(json!({"capture_method": word})).unwrap().capture;
    assert_eq!(capture(json!("automatic")), Capture::Automatic);
    assert_eq!(capture(Value::Null), Capture::Automatic);
    assert_eq!(capture(json!("manual")), Capture::Manual);
    assert_eq!(capture(json!("automatic_async")), Capture::Manual);
}

#[test]
fn live_and_test_money_are_told_apart() {
    assert_eq!(with(json!({"test_mode": false})).unwrap().mode, Mode::Live);
    assert_eq!(with(json!({"test_mode": true})).unwrap().mode, Mode::Test);
}

#[test]
fn shopify_fulfills_its_own_checkouts_and_no_other_app_does() {
    for (origin, expected) in [
        (json!("shopify"), true),
        (json!(" shopify "), true),
        (json!("woocommerce"), false),
        (json!(7), false),
        (Value::Null, false),
    ] {
        let sale = with(json!({"origin": origin})).unwrap();
        assert_eq!(sale.fulfilled_elsewhere, expected, "{origin}");
    }
}

#[test]
fn the_merchants_reference_is_kept_unless_no_index_could_hold_it() {
    let kept = |reference: Value| {
        with(json!({"client_reference_id": reference}))
            .unwrap()
            .client_reference_id
    };
    assert_eq!(kept(json!("Order #7 / é")).as_deref(), Some("Order #7 / é"));
    assert_eq!(
        kept(json!("x".repeat(1024))).map(|text| text.len()),
        Some(1024)
    );
    for lost in [json!(""), json!("  "), json!("x".repeat(1025))] {
        assert_eq!(kept(lost), None);
    }
}

#[test]
fn the_shoppers_own_address_goes_before_the_merchants_guess() {
    let email = |changes: Value| with(changes).unwrap().customer.email;
    let customer = json!({"customer_id": "fcus_1", "email": "own@example.com"});
    let all = json!({"customer": customer, "customer_email": "session@example.com"});
    assert_eq!(email(all).as_deref(), Some("own@example.com"));
    let session = json!({"customer_email": "session@example.com"});
    assert_eq!(email(session).as_deref(), Some("session@example.com"));
    assert_eq!(
        email(json!({"customer_email": " "})).as_deref(),
        Some("pat@example.com")
    );
    assert_eq!(email(json!({"defaults": {"email": null}})), None);
    let guest =
        json!({"customer_email": 7, "customer_details": {"email": "guest@example.com\u{200b}"}});
    assert_eq!(email(guest).as_deref(), Some("guest@example.com"));
}

#[test]
fn a_guest_is_named_by_the_details_of_the_session() {
    let guest = json!({
        "customer": null, "customer_id": null, "customer_email": null, "defaults": null,
        "customer_details": {"email": "pat@bücher.example", "first_name": "Pat", "last_name": "O&#39;Neil"},
    });
    let customer = with(guest).unwrap().customer;
    assert_eq!(customer.customer_id, None);
    assert_eq!(customer.name.as_deref(), Some("Pat O'Neil"));
    assert_eq!(customer.email.as_deref(), Some("pat@xn--bcher-kva.example"));
}

#[test]
fn a_customer_may_be_named_in_part_or_not_at_all() {
    let customer = |customer: Value| {
        with(json!({"customer": customer, "customer_id": null}))
            .unwrap()
            .customer
    };
    let name = customer(json!({"first_name": "Cher"})).name;
    assert_eq!(name.as_deref(), Some("Cher"));
    let blank = json!({"first_name": " ", "last_name": null, "customer_id": "fcus_1"});
    assert_eq!(customer(blank).name, None);
    let unnamed = with(json!({"customer": {"first_name": " "}, "customer_id": null}));
    assert_eq!(malformed(unnamed), "customer");
    let by_id = customer(json!("fcus_1")).customer_id.unwrap();
    assert_eq!(by_id.as_str(), "fcus_1");
    assert_eq!(customer(Value::Null).customer_id, None);
}

#[test]
fn payments_are_gathered_from_every_member_once() {
    let intents = |changes: Value| {
        let sale = with(changes).unwrap();
        sale.payment_intents
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let all = json!({
        "payment_intents": ["fpi_2", {"payment_intent_id": "fpi_1"}, "fpi_2", null],
        "payment_intent": {"payment_intent_id": "fpi_3"},
        "payment_intent_id": "fpi_3",
    });
    assert_eq!(intents(all), ["fpi_2", "fpi_1", "fpi_3"]);
    let one =
        json!({"payment_intents": null, "payment_intent": "fpi_1", "payment_intent_id": "fpi_1"});
    assert_eq!(intents(one), ["fpi_1"]);
    let none = json!({"payment_intents": [], "payment_intent": null, "payment_intent_id": null});
    assert!(intents(none).is_empty());
}

#[test]
fn what_a_session_began_is_named_by_id_or_whole() {
    let began = |changes: Value| {
        let sale = with(changes)?;
        let text = |id: Option<String>| id.unwrap_or_default();
        Ok::<_, NotUnderstood>((
            text(sale.subscription_id.map(String::from)),
            text(sale.invoice_id.map(String::from)),
        ))
    };
    let expected = Ok(("fsub_1".to_owned(), "fin_1".to_owned()));
    assert_eq!(
        began(json!({"subscription": "fsub_1", "invoice": "fin_1"})),
        expected
    );
    let expanded = json!({
        "subscription": {"subscription_id": "fsub_1", "status": "active", "latest_invoice": {"invoice_id": "fin_1"}},
        "invoice": {"invoice_id": "fin_1", "subscription": "fsub_1"},
    });
    assert_eq!(began(expanded), expected);
    for none in [Value::Null, json!(" "), json!("\u{200b}")] {
        assert_eq!(
            began(json!({"subscription": none, "invoice": none})),
            Ok(Default::default())
        );
    }
}

fn found(sessions: Value, payment: &str) -> Result<Option<String>, NotUnderstood> {
    let sessions: Field<Vec<Field<Session>>> = Field::of(sessions);
    let sessions = sessions.known().unwrap();
    let found = session_of(sessions, &PaymentIntentId::new(payment).unwrap())?;
    Ok(found.map(String::from))
}

#[test]
fn a_payments_session_is_the_first_that_names_it() {
    let sessions = json!([
        {"checkout_session_id": "fcs_1", "payment_intent": "fpi_9"},
        {"checkout_session_id": "fcs_2", "payment_intent": "fpi_1", "payment_intents": ["fpi_1", "fpi_2"]},
        {"checkout_session_id": "fcs_3", "payment_intents": [{"payment_intent_id": "fpi_2"}]},
        {"checkout_session_id": "fcs_4", "payment_intent_id": "fpi_4"},
    ]);
    for (payment, session) in [
        ("fpi_9", "fcs_1"),
        ("fpi_1", "fcs_2"),
        ("fpi_2", "fcs_2"),
        ("fpi_4", "fcs_4"),
    ] {
        let found = found(sessions.clone(), payment).unwrap();
        assert_eq!(found.as_deref(), Some(session), "{payment}");
    }
    assert_eq!(found(sessions, "fpi_3"), Ok(None));
    assert_eq!(found(json!([]), "fpi_1"), Ok(None));
}

/// An old session of a split cart names only the first of its payments.
#[test]
fn the_only_session_is_taken_where_it_does_not_list_its_payments() {
    for only in [
        json!({"checkout_session_id": "fcs_1"}),
        json!({"checkout_session_id": "fcs_1", "payment_intents": []}),
        json!({"checkout_session_id": "fcs_1", "payment_intent": "fpi_1"}),
    ] {
        assert_eq!(
            found(json!([only]), "fpi_2"),
            Ok(Some("fcs_1".to_owned())),
            "{only}"
        );
        assert_eq!(found(json!([only, only]), "fpi_2"), Ok(None), "{only}");
    }
    let of_others = json!([{"checkout_session_id": "fcs_1", "payment_intents": ["fpi_1"]}]);
    assert_eq!(found(of_others, "fpi_2"), Ok(None));
    let why = missing("checkout_sessions[].checkout_session_id");
    assert_eq!(found(json!([{}]), "fpi_2"), Err(why));
    assert_eq!(malformed(found(json!([7]), "fpi_2")), "checkout_sessions[]");
    let beside = json!([7, {"checkout_session_id": "fcs_1", "payment_intents": ["fpi_2"]}]);
    assert_eq!(found(beside, "fpi_2"), Ok(Some("fcs_1".to_owned())));
}

#[test]
fn fees_are_added_up() {
    let fees = json!([{"amount": 100, "fee_type": "custom"}, {"amount": null}, {"amount": 50}]);
    assert_eq!(with(json!({"fees": fees})).unwrap().totals.fees, 150);
    for (own, expected) in [(None, 150), (Some(7), 7)] {
        let line = line_with(json!({"amount_fee": own, "fees": fees}));
        assert_eq!(line.unwrap().amounts.fees, expected, "{own:?}");
    }
}

#[test]
fn a_line_may_name_its_price_and_product_by_id_alone() {
    let line = line_with(json!({"price": "fprice_1"})).unwrap();
    assert_eq!(line.price_id.unwrap().as_str(), "fprice_1");
    assert_eq!(
        (line.product_id, line.unit_amount, line.sku),
        (None, None, None)
    );
    assert_eq!(line.description, "Knee brace");
    let line = line_with(json!({"price": {"product": "fprod_1"}})).unwrap();
    assert_eq!(line.product_id.unwrap().as_str(), "fprod_1");
    let line = line_with(json!({"price": null})).unwrap();
    assert_eq!((line.price_id, line.product_id), (None, None));
}

#[test]
fn the_description_is_the_merchants_then_the_products_then_the_lines() {
    for (receipt, name, own, expected) in [
        (
            Some("for receipts"),
            Some("name"),
            Some("line"),
            "for receipts",
        ),
        (Some(" "), Some("name"), Some("line"), "name"),
        (None, None, Some("line"), "line"),
        (None, None, None, "Item"),
    ] {
        let product = json!({"receipt_description": receipt, "name": name});
        let line = line_with(json!({"description": own, "price": {"product": product}}));
        assert_eq!(line.unwrap().description, expected);
    }
}

#[test]
fn the_sku_is_the_first_one_given_and_never_a_guess() {
    let sku = |price: Value| {
        let mut all = json!({"product": {"client_reference_id": null, "upc_code": null, "gtin": null, "metadata": null}});
        merge(&mut all, price);
        line_with(json!({"price": all})).map(|line| line.sku.map(String::from))
    };
    for (price, expected) in [
        (
            json!({"product": {"client_reference_id": " REF ", "metadata": {"sku": "META"}}}),
            Some("REF"),
        ),
        (
            json!({"product": {"metadata": {"sku": "META"}}, "metadata": {"sku": "PRICE"}}),
            Some("META"),
        ),
        (
            json!({"product": {"upc_code": "012"}, "metadata": {"sku": "PRICE"}}),
            Some("PRICE"),
        ),
        (
            json!({"product": {"upc_code": "012345678905", "gtin": "1"}}),
            Some("012345678905"),
        ),
        (json!({"product": {"gtin": 12_345_670}}), Some("12345670")),
        (json!({"product": {"upc_code": ""}}), None),
        (
            json!({"product": {"client_reference_id": "REF", "metadata": [1], "upc_code": {}}, "metadata": "x"}),
            Some("REF"),
        ),
        (
            json!({"product": {"client_reference_id": "BRACE\u{200b} M"}}),
            Some("BRACE M"),
        ),
        // A text that no key can hold is no SKU, and the box's code is not the merchant's choice.
        (
            json!({"product": {"client_reference_id": "A".repeat(1_001), "gtin": "1"}}),
            None,
        ),
    ] {
        assert_eq!(sku(price.clone()).unwrap().as_deref(), expected, "{price}");
    }
    for (odd, place) in [
        (json!({"client_reference_id": {}}), "client_reference_id"),
        (json!({"metadata": [1]}), "metadata"),
        (json!({"metadata": {"sku": true}}), "metadata"),
    ] {
        let place = format!("line_items[].price.product.{place}");
        assert_eq!(malformed(sku(json!({"product": odd}))), place);
    }
}

fn certification(line: &LineItem) -> Option<Certification> {
    let eligibility = line.eligibility.as_ref();
    eligibility.map(|eligibility| eligibility.certification)
}

#[test]
fn a_line_is_certified_only_by_a_known_word_that_the_session_does_not_deny() {
    use Certification::{Certified, Conditional, NotEligible, Unknown};
    let read = |own: Value, product: Value, session_says: &Value| {
        let mut session = session();
        merge(&mut session, session_says.clone());
        let mut line = first_line();
        merge(
            &mut line,
            json!({"eligibility": own, "price": {"product": {"hsa_fsa_eligibility": product}}}),
        );
        let sale = translated(session, json!([line]), Value::Null).unwrap();
        certification(&sale.lines[0])
    };
    let says = |eligible: Value, letter: Value| json!({"hsa_fsa_eligible": eligible, "letter_of_medical_necessity_required": letter});
    let (confirmed, denied) = (
        says(json!(true), json!(false)),
        says(json!(false), json!(false)),
    );
    let (needs_letter, mute) = (
        says(json!(true), json!(true)),
        says(Value::Null, Value::Null),
    );
    let letter = "letter_of_medical_necessity";
    for (word, expected) in [
        // confirmed, denied, a letter is required, nothing is said
        (
            "auto_substantiation",
            [Certified, Conditional, Certified, Certified],
        ),
        (
            "private_label",
            [Certified, Conditional, Certified, Certified],
        ),
        ("vision", [Certified, Conditional, Certified, Certified]),
        (letter, [Certified, Conditional, Conditional, Conditional]),
        ("prescription", [Conditional; 4]),
        ("service", [Conditional; 4]),
        ("not_eligible", [NotEligible; 4]),
        ("pending_review", [Unknown; 4]),
    ] {
        let found = [&confirmed, &denied, &needs_letter, &mute]
            .map(|says| read(json!(word), json!("auto_substantiation"), says).unwrap());
        assert_eq!(found, expected, "{word}");
    }
    // The product's word alone says how it may become eligible.
    let listed = || json!("auto_substantiation");
    assert_eq!(read(Value::Null, listed(), &confirmed), Some(Certified));
    assert_eq!(read(Value::Null, listed(), &mute), Some(Conditional));
    assert_eq!(read(Value::Null, Value::Null, &confirmed), None);
}

#[test]
fn a_session_states_its_currency_and_how_it_counts_tax() {
    let usd = with(json!({})).unwrap();
    assert_eq!((usd.currency, usd.tax_included), (Currency::USD, false));
    let other = with(json!({"currency": "cad", "tax_calculation_mode": "inclusive"})).unwrap();
    assert_eq!((other.currency.code(), other.tax_included), ("CAD", true));
    let odd = with(json!({"currency": "dollars"}));
    assert!(odd.is_err());
}

#[test]
fn a_session_that_sells_nothing_says_so() {
    for word in ["setup", "reimbursement"] {
        let sale = with(json!({"mode": word})).unwrap();
        assert_eq!(sale.kind, SaleKind::NoSale(word.to_owned()));
    }
}
