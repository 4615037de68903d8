//! An example shop: a paid sale as Flex's API shows it, and its events.
//!
//! Everything is made from the samples under `events/flex`, with other ids; nothing is repeated here.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a sample that is not as it should be must stop the test"
)]

use serde_json::{Value, json};

const SESSION: &str = include_str!("../../events/flex/api/session.json");
const LINE_ITEMS: &str = include_str!("../../events/flex/api/line_items.json");
const CUSTOMER: &str = include_str!("../../events/flex/api/customer.json");
const SUBSCRIPTION_SESSION: &str = include_str!("../../events/flex/api/subscription.session.json");
const SUBSCRIPTION_LINE_ITEMS: &str =
    include_str!("../../events/flex/api/subscription.line_items.json");
const SUBSCRIPTION: &str = include_str!("../../events/flex/api/subscription.json");
const COMPLETED: &str = include_str!("../../events/flex/checkout.session.completed.json");

/// One sale in Flex's API: two lines, one of them eligible. With discount, tax and shipping they add up
/// to the session's total.
#[derive(Debug, Clone, PartialEq)]
pub struct Purchase {
    /// The session, its customer by id.
    pub session: Value,
    pub line_items: Value,
    pub customer: Value,
}

impl Purchase {
    pub fn sample() -> Self {
        Self {
            session: resource(SESSION, "checkout_session"),
            line_items: resource(LINE_ITEMS, "line_items"),
            customer: resource(CUSTOMER, "customer"),
        }
    }

    /// The sample as another sale: another session, other payments, another reference of the merchant's, by the
    /// same customer and of the same things.
    pub fn numbered(n: u64) -> Self {
        let mut purchase = Self::sample();
        let (first, second) = (id("fpi", 2 * n), id("fpi", 2 * n + 1));
        purchase.renumber(n);
        let session = &mut purchase.session;
        session["payment_intent"] = json!(first);
        session["payment_intent_id"] = json!(first);
        session["payment_intents"] = json!([first, second]);
        purchase
    }

    /// The sample of a subscription's first sale as another one: of [`subscription`] with the same number, by the
    /// same customer.
    pub fn subscription(n: u64) -> Self {
        let mut purchase = Self {
            session: resource(SUBSCRIPTION_SESSION, "checkout_session"),
            line_items: resource(SUBSCRIPTION_LINE_ITEMS, "line_items"),
            customer: resource(CUSTOMER, "customer"),
        };
        purchase.renumber(n);
        let session = &mut purchase.session;
        session["payment_intent"] = json!(id("fpi", 2 * n));
        session["subscription"] = json!(id("fsub", n));
        session["invoice"] = json!(id("fin", n));
        purchase
    }

    fn renumber(&mut self, n: u64) {
        let session = &mut self.session;
        session["checkout_session_id"] = json!(id("fcs", n));
        session["redirect_url"] = json!(format!(
            "https://checkout.withflex.com/pay/c/{}",
            id("fcs", n)
        ));
        session["client_reference_id"] = json!(format!("order-{n}"));
    }

    /// The session's id, which is the order's.
    pub fn order_id(&self) -> &str {
        self.session["checkout_session_id"]
            .as_str()
            .expect("a session has an id")
    }

    /// The body of the delivery that says this sale is completed: see [`completed`].
    pub fn completed(&self, event_id: &str) -> Vec<u8> {
        completed(event_id, &self.session)
    }
}

/// The body of a `checkout.session.completed`, with exactly the members that Flex prints in its guide
/// (<https://docs.withflex.com/developer-guides/integration/checkout/fulfillment>). Other members of the session are
/// left out.
pub fn completed(event_id: &str, session: &Value) -> Vec<u8> {
    let mut event: Value = serde_json::from_str(COMPLETED).expect("the sample is JSON");
    event["event_id"] = json!(event_id);
    let members = event["object"]["checkout_session"]
        .as_object_mut()
        .expect("the sample has a session");
    for (name, value) in members {
        if let Some(known) = session.get(name) {
            *value = known.clone();
        }
    }
    event.to_string().into_bytes()
}

/// The subscription that [`Purchase::subscription`] of the same number begins, in its first month and paid for. A test
/// that wants another moment says so.
pub fn subscription(n: u64) -> Value {
    let mut subscription = resource(SUBSCRIPTION, "subscription");
    let begin = sample("customer.subscription.created")["object"]["subscription"].take();
    for member in ["current_period_start", "current_period_end"] {
        subscription[member] = begin[member].clone();
    }
    subscription["subscription_id"] = json!(id("fsub", n));
    subscription["latest_invoice"] = json!(id("fin", n));
    subscription["status"] = json!("active");
    subscription
}

/// The product that a subscription gives access to.
pub fn product_of(subscription: &Value) -> String {
    let product = &subscription["items"][0]["price"]["product"];
    let id = product.as_str().or_else(|| product["product_id"].as_str());
    id.expect("a product").to_owned()
}

/// The sample of an event, by its type: `sample("refund.created")`; where there are several of a type, with what is
/// particular to it: `sample("invoice.paid.renewal")`.
pub fn sample(event_type: &str) -> Value {
    let file = format!(
        "{}/../events/flex/{event_type}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&file).expect("there is a sample of every type");
    serde_json::from_str(&text).expect("the sample is JSON")
}

/// The body of an event about a resource, in the envelope that all of them come in.
pub fn event(
    event_type: &str,
    event_id: &str,
    event_dt: i64,
    name: &str,
    resource: &Value,
) -> Vec<u8> {
    let event = json!({
        "event_dt": event_dt,
        "event_id": event_id,
        "event_type": event_type,
        "object": {name: resource},
    });
    event.to_string().into_bytes()
}

/// An id as Flex makes them: a prefix and 26 characters of a ULID, which are base 32 without I, L, O and U.
pub fn id(prefix: &str, n: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit =
        |place: u32| char::from(DIGITS[usize::try_from(n >> (5 * place) & 31).expect("five bits")]);
    let number: String = (0..13).rev().map(digit).collect();
    format!("{prefix}_01K77M0000000{number}")
}

fn resource(file: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(file).expect("the sample is JSON")[name].take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::delivery::event::{Change, Reading};

    #[test]
    fn the_lines_add_up_to_the_total() {
        let purchase = Purchase::sample();
        let lines = purchase.line_items.as_array().unwrap();
        let sum = |member: &str| {
            lines
                .iter()
                .map(|line| line[member].as_i64().unwrap())
                .sum::<i64>()
        };
        assert_eq!(sum("amount_total"), purchase.session["amount_total"]);
        assert_eq!(sum("amount_subtotal"), purchase.session["amount_subtotal"]);
        for part in ["amount_discount", "amount_tax", "amount_shipping"] {
            assert_eq!(sum(part), purchase.session["total_details"][part], "{part}");
        }
        let eligibility = |n: usize| lines[n]["eligibility"].as_str().unwrap();
        assert_eq!(eligibility(0), "auto_substantiation");
        assert_eq!(eligibility(1), "not_eligible");
    }

    #[test]
    fn every_number_is_another_checkout() {
        let (one, two) = (Purchase::numbered(1), Purchase::numbered(2));
        for member in [
            "checkout_session_id",
            "payment_intent",
            "client_reference_id",
        ] {
            assert_ne!(one.session[member], two.session[member], "{member}");
        }
        assert_eq!(id("fcs", 33), "fcs_01K77M00000000000000000011");
        assert_eq!(id("fcs", u64::MAX).len(), "fcs_".len() + 26);
    }

    #[test]
    fn every_number_is_another_subscription_that_its_checkout_names() {
        let (one, two) = (Purchase::subscription(1), Purchase::subscription(2));
        for member in [
            "checkout_session_id",
            "payment_intent",
            "subscription",
            "invoice",
        ] {
            assert_ne!(one.session[member], two.session[member], "{member}");
        }
        let subscription = subscription(1);
        assert_eq!(subscription["subscription_id"], one.session["subscription"]);
        assert_eq!(subscription["latest_invoice"], one.session["invoice"]);
        assert_eq!(subscription["customer"], one.session["customer"]);
        assert_eq!(
            subscription["items"][0]["price"]["price_id"],
            one.line_items[0]["price"]["price_id"]
        );
    }

    #[test]
    fn an_event_made_of_a_sample_is_that_sample() {
        let sample = sample("refund.created");
        let refund = &sample["object"]["refund"];
        let (event_id, event_dt) = (
            sample["event_id"].as_str().unwrap(),
            sample["event_dt"].as_i64().unwrap(),
        );
        let body = event("refund.created", event_id, event_dt, "refund", refund);
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), sample);
    }

    #[test]
    fn the_event_has_the_members_of_the_sample_and_names_its_session() {
        let purchase = Purchase::numbered(7);
        let body = purchase.completed("fevt_7");
        let (event, sample): (Value, Value) = (
            serde_json::from_slice(&body).unwrap(),
            serde_json::from_str(COMPLETED).unwrap(),
        );
        let members = |event: &Value| {
            event["object"]["checkout_session"]
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(members(&event), members(&sample));
        let Reading::Event(event) = flex::read(&body) else {
            panic!("{event}")
        };
        assert_eq!(event.event_id.as_str(), "fevt_7");
        let Change::Sale {
            order_id,
            completed: true,
        } = event.change
        else {
            panic!("{event:?}")
        };
        assert_eq!(order_id.as_str(), purchase.order_id());
    }
}
