//! Any JSON value at any place of any sample: the same effect, or a reason by name. Never another
//! amount, date, item or entitlement.
//!
//! A decision is a function of what is compared here: of the event's change, and of the answers of
//! the API. The same change and answers therefore have the same effect.

use crate::{add_payments, listing, sale, wire};
use domain::{
    delivery::event::{Change, Event, Reading},
    sale::statement::Sale,
    upkeep::reconcile::{Found, Listed},
};
use reading::{Field, Kind, text};
use rest::testing::places;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

/// Reads the samples of a folder.
fn samples(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    paths.sort();
    let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    paths.iter().map(read).collect()
}

/// Values of other kinds, which no rule reads as another legal value of this place.
fn odd(value: &Value) -> Vec<Value> {
    let all = [
        json!(true),
        json!(7.5),
        json!(1e300),
        json!("two words \u{fffd}"),
        json!([]),
        json!([value]),
        json!({}),
        json!({"x": value}),
    ];
    let (kind, mut odd) = (Kind::of(value), Vec::from(all));
    odd.retain(|other| match (kind, Kind::of(other)) {
        (Kind::Number, Kind::Number) => true,
        // A bare id is a legal form of a resource, and any text a legal text.
        (Kind::Object | Kind::Null, Kind::Text) | (Kind::Null, Kind::Flag) => false,
        (one, other) => one != other,
    });
    odd
}

/// Other notations of the same value.
fn notations(value: &Value) -> Vec<Value> {
    match value {
        Value::Number(number) if number.is_i64() => {
            number.as_f64().map(Value::from).into_iter().collect()
        }
        Value::String(text) => vec![
            json!(format!(" {text}\u{200b}")),
            json!(format!("\u{feff}{text} ")),
        ],
        _ => Vec::new(),
    }
}

/// One place of a document, and how to read the document with another value there.
struct Mutation<'a, T> {
    sample: &'a Value,
    place: &'a str,
    /// What the document says as it is.
    original: &'a T,
    effect: &'a dyn Fn(&Value) -> Result<T, String>,
    is_same: &'a dyn Fn(&T, &T) -> bool,
}

impl<T: std::fmt::Debug> Mutation<'_, T> {
    fn with(&self, value: Value) -> Result<T, String> {
        let mut mutant = self.sample.clone();
        *mutant.pointer_mut(self.place).unwrap() = value;
        (self.effect)(&mutant)
    }

    /// Checks the place with other values, and with the same one in other notations.
    fn check_values(&self) -> usize {
        let Self {
            place,
            original,
            is_same,
            ..
        } = self;
        let value = self.sample.pointer(place).unwrap();
        let (odd, notations) = (odd(value), notations(value));
        let cases = odd.len() + notations.len();
        for odd in odd {
            match self.with(odd.clone()) {
                Ok(read) => assert!(
                    is_same(&read, original),
                    "{place}: {odd} makes {read:#?}\nof {original:#?}"
                ),
                Err(why) => assert!(!why.is_empty() && why.len() < 120, "{place}: {odd}: {why}"),
            }
        }
        for notation in notations {
            let read = self.with(notation.clone());
            assert!(
                read.as_ref().is_ok_and(|read| is_same(read, original)),
                "{place}: {notation} makes {read:#?}\nof {original:#?}"
            );
        }
        cases
    }

    /// Checks that a null in this place says as much as nothing there.
    fn check_null(&self) -> usize {
        let place = self.place;
        let Some((parent, name)) = place.rsplit_once('/') else {
            return 0;
        };
        let mut absent = self.sample.clone();
        let Some(members) = absent.pointer_mut(parent).unwrap().as_object_mut() else {
            return 0;
        };
        members.remove(name);
        let (null, absent) = (self.with(Value::Null), (self.effect)(&absent));
        let is_same = match (&null, &absent) {
            (Ok(null), Ok(absent)) => (self.is_same)(null, absent),
            (null, absent) => null.as_ref().err() == absent.as_ref().err(),
        };
        // Only a list of invoices says more by a null.
        assert!(
            is_same || name == "subscription",
            "{place}: null makes {null:#?}\nand nothing {absent:#?}"
        );
        1
    }
}

/// Checks a document with each of its values replaced or left out; the number of documents checked.
fn check<T: std::fmt::Debug>(
    sample: &Value,
    effect: impl Fn(&Value) -> Result<T, String>,
    is_same: impl Fn(&T, &T) -> bool,
) -> usize {
    let original = effect(sample).unwrap();
    let mut all = Vec::new();
    places(sample, "", &mut all);
    let mutations = all.iter().map(|place| Mutation {
        sample,
        place,
        original: &original,
        effect: &effect,
        is_same: &is_same,
    });
    mutations
        .map(|mutation| mutation.check_values() + mutation.check_null())
        .sum()
}

fn event(body: &Value) -> Result<Event, String> {
    match crate::read(body.to_string().as_bytes()) {
        Reading::Unreadable(why) => Err(why.to_string()),
        Reading::Event(event) => match event.change {
            Change::NotUnderstood(why) => Err(why.to_string()),
            _ => Ok(*event),
        },
    }
}

/// True if two changes have the same effect. Names, a card's kind, a dispute's reason and due date
/// inform a person, and unclear goods of a refund stay out of stock.
fn is_same_change(read: &Change, original: &Change) -> bool {
    let mut read = read.clone();
    match (&mut read, original) {
        (Change::Payment(read), Change::Payment(original)) => {
            if let (Some(read), Some(original)) = (&mut read.facts, &original.facts) {
                read.card.clone_from(&original.card);
            }
        }
        (Change::Dispute(read), Change::Dispute(original)) => {
            read.facts.reason.clone_from(&original.facts.reason);
            read.facts.due_by = original.facts.due_by;
        }
        (Change::Refund(read), Change::Refund(original)) if read.facts.goods.is_empty() => {
            // Goods that are not understood call a person.
            read.facts.goods.clone_from(&original.facts.goods);
            read.facts.goods_unclear = false;
        }
        (Change::Customer(read), Change::Customer(original)) => {
            if let (Some(read), Some(original)) = (&mut read.facts, &original.facts) {
                read.name.clone_from(&original.name);
            }
        }
        _ => {}
    }
    read == *original
}

#[test]
fn any_value_anywhere_in_a_delivery_has_the_same_effect_or_a_reason() {
    let is_same = |read: &Event, original: &Event| {
        let has_no_effect = matches!(original.change, Change::NotNeeded | Change::Unhandled);
        is_same_change(&read.change, &original.change)
            && read.event_id == original.event_id
            && read.event_type == original.event_type
            && (has_no_effect || read.occurred_at == original.occurred_at)
    };
    let samples = samples("../../../events/flex").into_iter();
    let deliveries = samples.filter(|sample| sample.get("event_type").is_some());
    let cases: usize = deliveries
        .map(|sample| check(&sample, event, is_same))
        .sum();
    println!("{cases} cases");
    assert!(cases > 10_000, "{cases}");
}

/// A checkout, read from the answers as the client reads it.
fn of_answers(answers: &Value) -> Result<Sale, String> {
    let session: Field<wire::Session> = member(answers, "checkout_session");
    let session = session
        .required("checkout_session")
        .map_err(|why| why.to_string())?;
    let lines: wire::LineItems = member(answers, "line_items");
    lines
        .required("line_items")
        .map_err(|why| why.to_string())?;
    let customer: Field<wire::Customer> = member(answers, "customer");
    let read = sale(session, &lines, customer.known());
    let mut sale = read.map_err(|why| why.to_string())?;
    let payments: Field<Vec<Field<wire::PaymentIntent>>> = member(answers, "payment_intents");
    add_payments(&mut sale, payments.known().map_or(&[], Vec::as_slice));
    Ok(sale)
}

fn member<T: reading::Readable>(of: &Value, name: &str) -> Field<T> {
    Field::of(of.get(name).cloned().unwrap_or_default())
}

/// Every text in a value, cleaned as an address and as a name is.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            into.extend(text::address(text));
            into.extend(text::name(text).map(|name| text::code(&name)));
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(members) => members.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

/// True if two checkouts have the same effect. A name or an address that is not understood is
/// replaced by the next one that states the same, never by an invented one. A payment whose facts
/// are not understood counts as not read. The details inform a person.
fn is_same_checkout(read: &Sale, original: &Sale, stated: &BTreeSet<String>) -> bool {
    let mut read = read.clone();
    let is_stated = |text: &String| text == "Item" || stated.contains(&text::code(text));
    let mut is_same = read.customer.email.iter().all(is_stated);
    for (line, other) in read.lines.iter_mut().zip(&original.lines) {
        is_same &= is_stated(&line.description);
        line.description.clone_from(&other.description);
        line.metadata.clone_from(&other.metadata);
    }
    for (id, facts) in &mut read.payments {
        let known = original.payments.get(id);
        is_same &= known.is_some();
        facts.card = known.and_then(|known| known.card.clone());
        is_same &= known == Some(facts);
    }
    read.payments.clone_from(&original.payments);
    read.client_reference_id
        .clone_from(&original.client_reference_id);
    read.customer.name.clone_from(&original.customer.name);
    read.customer.email.clone_from(&original.customer.email);
    read.details.clone_from(&original.details);
    is_same && read == *original
}

#[test]
fn any_value_anywhere_in_the_answers_makes_the_same_checkout_or_a_reason() {
    let sample = |name: &str| -> Value {
        let path = format!(
            "{}/../../../events/flex/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let mut cases = 0;
    for (session, lines) in [
        ("api/session", "api/line_items"),
        ("api/subscription.session", "api/subscription.line_items"),
        (
            "checkout.session.completed.expanded",
            "api/brace.line_items",
        ),
    ] {
        let (session, lines) = (sample(session), sample(lines));
        let session = session
            .get("checkout_session")
            .or(session.pointer("/object/checkout_session"));
        let answers = json!({
            "checkout_session": session.unwrap(),
            "line_items": lines.get("line_items").unwrap(),
            "customer": sample("api/customer").get("customer").unwrap(),
            "payment_intents": sample("api/payment_intents").get("payment_intents").unwrap(),
        });
        let mut stated = BTreeSet::new();
        texts(&answers, &mut stated);
        let is_same = |read: &Sale, original: &Sale| is_same_checkout(read, original, &stated);
        cases += check(&answers, of_answers, is_same);
    }
    println!("{cases} cases");
    assert!(cases > 3_000, "{cases}");
}

#[test]
fn any_value_anywhere_in_a_listed_thing_is_found_as_it_was_or_unreadable() {
    let mut cases = 0;
    for (list, thing) in listing::tests::all() {
        let ask = listing::tests::ask(list);
        let found = |thing: &Value| match listing::listed(&ask, thing) {
            Some(Listed::Found(found)) => Ok(Some(found)),
            Some(Listed::Unreadable { why, .. }) => Err(why.to_string()),
            None => Ok(None),
        };
        let is_same = |read: &Option<Box<Found>>, original: &Option<Box<Found>>| {
            let (Some(read), Some(original)) = (read, original) else {
                return read == original;
            };
            (read.resource, read.event_type, &read.id, read.received)
                == (
                    original.resource,
                    original.event_type,
                    &original.id,
                    original.received,
                )
                && is_same_change(&read.change, &original.change)
                && (read.since.is_none() || read.since == original.since)
        };
        cases += check(&thing, found, is_same);
    }
    println!("{cases} cases");
    assert!(cases > 500, "{cases}");
}
