//! What a merchant needs to ship and serve an order. Flex documents few of these shapes, so each
//! is read in every form that its guides, its API and its own plugin show. What is not understood
//! is left out: no decision depends on it.

use super::{clipped, own_id, payment, word};
use crate::wire::{Customer, PaymentIntent, Reference, Session};
use domain::{
    sale::details::{
        Address, Details, Discount, Metadata, MetadataLimit, PaymentMethod, Shipping, TaxRate,
    },
    values::ids::PaymentIntentId,
};
use reading::{Field, Identified, document, whole};
use serde_json::{Map, Value};

/// The most coupons and promotions that are kept.
const MOST_DISCOUNTS: usize = 10;

/// The details of a session. `customer` is the customer if read separately.
pub(super) fn details(session: &Session, customer: Option<&Customer>) -> Details {
    let customer = customer.or(session.customer.known().and_then(Reference::object));
    let defaults = session.defaults.known();
    let default_phone = defaults.and_then(|defaults| text(&defaults.phone));
    let phone = customer.and_then(|customer| text(&customer.phone));
    let intents = session.payment_intents.known().into_iter().flatten();
    let intents = intents.chain([&session.payment_intent]);
    Details {
        phone: phone.or(default_phone),
        shipping: shipping(session, customer),
        discounts: discounts(&session.discounts),
        tax_rate: session
            .tax_rate
            .as_object()
            .map(tax_rate)
            .filter(|rate| *rate != TaxRate::default()),
        payment_methods: intents
            .filter_map(|intent| method_of(intent.known()?.object()?))
            .collect(),
        unclear_payments: payment::unclear(session),
        origin: session.origin.as_str().and_then(filled).map(word),
        metadata: metadata(MetadataLimit::CHECKOUT, [Some(&session.metadata)]),
    }
}

/// The address of the checkout, else the customer's.
fn shipping(session: &Session, customer: Option<&Customer>) -> Option<Shipping> {
    let none = Map::new();
    let given = session.shipping_details.as_object();
    let of_customer = customer.and_then(|customer| customer.shipping.as_object());
    let to = given.or(of_customer).unwrap_or(&none);
    let by = session.shipping_options.as_object().unwrap_or(&none);
    let rate = by
        .get("shipping_rate_data")
        .and_then(Value::as_object)
        .unwrap_or(by);
    let shipping = Shipping {
        name: member(to, &["name"]).or_else(|| whole_name(to)),
        phone: member(to, &["phone"]),
        address: address(to.get("address").and_then(Value::as_object).unwrap_or(to)),
        rate_id: member(by, &["shipping_rate_id", "shipping_rate"]),
        option: member(rate, &["display_name", "name"]),
        amount: ["shipping_amount", "amount"]
            .iter()
            .find_map(|name| cents(rate.get(*name)?)),
    };
    (shipping != Shipping::default()).then_some(shipping)
}

fn whole_name(of: &Map<String, Value>) -> Option<String> {
    let parts: Vec<_> = ["first_name", "last_name"]
        .iter()
        .filter_map(|name| member(of, &[name]))
        .collect();
    (!parts.is_empty()).then(|| clipped(&parts.join(" ")))
}

fn address(of: &Map<String, Value>) -> Option<Address> {
    let address = Address {
        line1: member(of, &["line1"]),
        line2: member(of, &["line2"]),
        city: member(of, &["city"]),
        state: member(of, &["state"]),
        postal_code: member(of, &["postal_code"]),
        country: member(of, &["country"]),
    };
    (address != Address::default()).then_some(address)
}

/// A session is created with `coupon_id`, `coupon_data` or a promotion
/// (<https://docs.withflex.com/api-reference/checkout-sessions/create-checkout-session>).
fn discounts(all: &Value) -> Vec<Discount> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let known = all.iter().filter_map(Value::as_object).map(discount);
    let known = known.filter(|discount| *discount != Discount::default());
    known.take(MOST_DISCOUNTS).collect()
}

fn discount(of: &Map<String, Value>) -> Discount {
    let none = Map::new();
    let expanded = |names: &[&str]| {
        let found = names.iter().find_map(|name| of.get(*name)?.as_object());
        found.unwrap_or(&none)
    };
    let coupon = expanded(&["coupon", "coupon_data"]);
    let promotion = expanded(&["promotion_code", "promotion"]);
    Discount {
        coupon_id: member(of, &["coupon_id", "coupon"]).or_else(|| member(coupon, &["coupon_id"])),
        promotion: member(promotion, &["code", "promotion_code_id"]).or_else(|| {
            member(
                of,
                &["code", "promotion_code", "promotion_code_id", "promotion"],
            )
        }),
        name: member(coupon, &["name"]).or_else(|| member(of, &["name"])),
        amount_off: [coupon, of]
            .iter()
            .find_map(|of| cents(of.get("amount_off")?)),
    }
}

fn tax_rate(of: &Map<String, Value>) -> TaxRate {
    TaxRate {
        rate_id: member(of, &["tax_rate_id"]),
        name: member(of, &["display_name", "name"]),
        percentage: member(of, &["percentage", "rate"]),
        amount: of.get("amount").and_then(cents),
    }
}

/// The payment's method, if the intent shows more than its id.
pub(super) fn method_of(intent: &PaymentIntent) -> Option<(PaymentIntentId, PaymentMethod)> {
    let id = own_id(intent.payment_intent_id.id(), PaymentIntentId::new, "").ok()?;
    let of = intent.payment_method.as_object()?;
    let card = of.get("card").and_then(Value::as_object).unwrap_or(of);
    let is_last4 =
        |digits: &String| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let method = PaymentMethod {
        kind: member(of, &["type"]).as_deref().map(word),
        brand: member(card, &["brand"]).as_deref().map(word),
        // Nothing longer: it could be a whole number of a card.
        last4: member(card, &["last4"]).filter(is_last4),
    };
    (method != PaymentMethod::default()).then_some((id, method))
}

/// The entries of some metadata; a later one of the same name counts. On creation, Flex prints
/// metadata once as a text that holds JSON.
pub(crate) fn metadata<const N: usize>(limit: MetadataLimit, all: [Option<&Value>; N]) -> Metadata {
    let known = |value| entries(value).known().cloned().unwrap_or_default();
    let entries = all.into_iter().flatten().flat_map(known);
    let kept = entries.filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    });
    Metadata::within(limit, kept)
}

/// The entries of some metadata, which is an object or a text that holds one.
pub(super) fn entries(metadata: &Value) -> Field<Map<String, Value>> {
    match metadata {
        Value::String(text) if filled(text).is_none() => Field::Absent,
        Value::String(text) => match document(text.as_bytes()) {
            Some(entries) => Field::of(entries),
            None => Field::NotUnderstood(reading::Kind::Text),
        },
        other => Field::of(other.clone()),
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn cents(value: &Value) -> Option<i64> {
    whole(value).filter(|cents| *cents >= 0)
}

/// The first of these members that is filled in.
fn member(of: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| text(of.get(*name)?))
}

/// A text, or a number as codes are sometimes written.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => filled(text).map(clipped),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(session: Value, customer: Value) -> Details {
        let customer: Option<Customer> = serde_json::from_value(customer).unwrap();
        details(&serde_json::from_value(session).unwrap(), customer.as_ref())
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is compared with members that may be absent"
    )]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn an_address_is_the_checkouts_own_or_else_the_customers() {
        let customer = json!({"phone": "+1555", "shipping": {"line1": "9 Elm", "city": "Reno"}});
        let own = json!({"shipping_details": {
            "first_name": "Pat", "last_name": "Doe", "phone": 1555,
            "address": {"line1": "1 Main St", "postal_code": 78701},
        }});
        let shipping = of(own, customer.clone()).shipping.unwrap();
        assert_eq!(
            (shipping.name, shipping.phone),
            (some("Pat Doe"), some("1555"))
        );
        let address = shipping.address.unwrap();
        assert_eq!(
            (address.line1, address.postal_code),
            (some("1 Main St"), some("78701"))
        );
        assert_eq!(address.city, None, "two addresses are never mixed");
        let details = of(json!({"shipping_details": null}), customer);
        let address = details.shipping.unwrap().address.unwrap();
        assert_eq!(
            (address.line1, details.phone),
            (some("9 Elm"), some("+1555"))
        );
    }

    #[test]
    fn a_shipping_option_is_a_rate_or_its_data() {
        for option in [
            json!({"shipping_rate_id": "fshr_1", "shipping_amount": 500, "display_name": "Ground"}),
            json!({"shipping_rate_id": "fshr_1", "shipping_rate_data": {"display_name": "Ground", "amount": 500}}),
        ] {
            let shipping = of(json!({"shipping_options": option}), Value::Null)
                .shipping
                .unwrap();
            assert_eq!(
                (shipping.rate_id, shipping.option, shipping.amount),
                (some("fshr_1"), some("Ground"), Some(500))
            );
        }
    }

    #[test]
    fn a_discount_is_a_coupon_or_a_promotion_in_any_form() {
        let discount =
            |discount: Value| of(json!({"discounts": [discount]}), Value::Null).discounts;
        for coupon in [
            json!({"coupon_id": "fc_1"}),
            json!({"coupon": "fc_1"}),
            json!({"coupon": {"coupon_id": "fc_1"}}),
        ] {
            assert_eq!(discount(coupon)[0].coupon_id, some("fc_1"));
        }
        for promotion in [
            json!({"code": "SPRING"}),
            json!({"promotion_code": "SPRING"}),
            json!({"promotion_code": {"promotion_code_id": "fp_1", "code": "SPRING"}}),
        ] {
            assert_eq!(discount(promotion)[0].promotion, some("SPRING"));
        }
        let data = discount(json!({"coupon_data": {"name": "Spring", "amount_off": 500}}));
        assert_eq!(
            (&data[0].name, data[0].amount_off),
            (&some("Spring"), Some(500))
        );
        assert_eq!(discount(json!({})), []);
    }

    #[test]
    fn a_payments_method_is_told_without_more_digits_than_four() {
        let method = |method: Value| {
            let intent = json!({"payment_intent_id": "fpi_1", "payment_method": method});
            let details = of(json!({"payment_intents": [intent]}), Value::Null);
            details.payment_methods.into_values().next()
        };
        let card = json!({"type": "card", "card": {"brand": "visa", "last4": "4242"}});
        let card = method(card).unwrap();
        assert_eq!(
            (card.kind, card.brand, card.last4),
            (some("card"), some("visa"), some("4242"))
        );
        let whole = method(json!({"type": "card", "card": {"last4": "4242424242424242"}}));
        assert_eq!(whole.unwrap().last4, None);
        assert_eq!(method(json!("fpm_1")), None);
    }

    #[test]
    fn metadata_is_kept_as_texts_from_an_object_or_a_text_of_one() {
        for metadata in [
            json!({"cart": "c-77", "n": 7, "gift": true, "none": null}),
            json!("{\"cart\": \"c-77\", \"n\": 7, \"gift\": true}"),
        ] {
            let kept = of(json!({"metadata": metadata}), Value::Null)
                .metadata
                .entries;
            let expected = [("cart", "c-77"), ("gift", "true"), ("n", "7")];
            assert_eq!(
                kept,
                expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
            );
        }
    }

    #[test]
    fn what_is_odd_is_left_out_and_fails_nothing() {
        for odd in [
            json!(null),
            json!("?"),
            json!(7),
            json!([7, {}, null]),
            json!({"address": []}),
        ] {
            let session = json!({
                "shipping_details": odd, "shipping_options": odd, "discounts": odd,
                "tax_rate": odd, "metadata": odd, "payment_intents": odd, "defaults": odd,
            });
            let details = of(session, json!({"phone": odd, "shipping": odd}));
            assert_eq!(
                (details.shipping, details.discounts),
                (None, Vec::new()),
                "{odd}"
            );
        }
    }
}
