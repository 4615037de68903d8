//! The JSON Schema of each kind's event, made from the types of its parts.

use aws::bus::SOURCE;
use domain::announcement::{
    Kind, Thing, ThingType,
    access::EntitlementState,
    event::EventSummary,
    order::OrderSummary,
    personal::{Contact, has_contact},
    receipt::ReceiptOutcome,
    resource::{InvoiceSummary, MerchantSummary, PaymentMethodSummary, SessionSummary},
    stock::StockSummary,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The registry takes JSON Schema of draft 4 only
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema.html>).
const DRAFT: &str = "http://json-schema.org/draft-04/schema#";

/// The members of an event beside its detail, which are all strings.
const OF_THE_EVENT: [&str; 5] = ["version", "id", "account", "time", "region"];

/// The schema of a kind's event in its present version.
pub(super) fn schema(kind: Kind) -> Value {
    let text = json!({"type": "string"});
    let mut properties: Map<String, Value> = OF_THE_EVENT
        .iter()
        .map(|name| ((*name).to_owned(), text.clone()))
        .collect();
    properties.insert("detail-type".to_owned(), one(kind.as_str()));
    properties.insert("source".to_owned(), one(SOURCE));
    properties.insert(
        "resources".to_owned(),
        json!({"type": "array", "items": text}),
    );
    properties.insert("detail".to_owned(), detail(kind));
    let required: Vec<&String> = properties.keys().collect();
    json!({
        "$schema": DRAFT,
        "title": kind.as_str(),
        "description": kind.when(),
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn detail(kind: Kind) -> Value {
    let (member, state) = state(kind.thing());
    let mut thing = part::<Thing>();
    thing["properties"]["type"] = one(member);
    let mut detail = json!({
        "type": "object",
        "required": ["kind", "schema_version", "id", "occurred_at", "thing", "changed", "mode", member],
        "properties": {
            "kind": one(kind.as_str()),
            "schema_version": {"type": "integer", "enum": [kind.schema_version()]},
            "id": {
                "type": "string",
                "description": "The same for each publication: `thing.id`, `thing.version` and `kind`, joined by `/`.",
            },
            "occurred_at": {
                "type": "string",
                "format": "date-time",
                "description": "The time of the change in the stack.",
            },
            "provider": {
                "type": "string",
                "description": "The provider. Absent for stock, which belongs to the merchant.",
            },
            "caused_by": {
                "type": "string",
                "description": "The id of the provider's event that caused the change, if one did.",
            },
            "thing": thing,
            "changed": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The members of the state that changed. All of them if the thing is new.",
            },
            "mode": {"type": "string", "enum": ["live", "test"]},
        },
    });
    detail["properties"][member] = state;
    if has_contact(kind) {
        detail["properties"]["contact"] = part::<Contact>();
    }
    detail
}

/// The member with the state of a thing, and its schema.
fn state(thing: ThingType) -> (&'static str, Value) {
    match thing {
        ThingType::Order => ("order", part::<OrderSummary>()),
        ThingType::Entitlement => ("entitlement", part::<EntitlementState>()),
        ThingType::Stock => ("stock", part::<StockSummary>()),
        ThingType::Receipt => ("receipt", part::<ReceiptOutcome>()),
        ThingType::Event => ("event", part::<EventSummary>()),
        ThingType::Invoice => ("invoice", part::<InvoiceSummary>()),
        ThingType::CheckoutSession => ("checkout_session", part::<SessionSummary>()),
        ThingType::PaymentMethod => ("payment_method", part::<PaymentMethodSummary>()),
        ThingType::Merchant => ("merchant", part::<MerchantSummary>()),
    }
}

fn one(value: &str) -> Value {
    json!({"type": "string", "enum": [value]})
}

/// The schema of a type as it is written.
fn part<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().subschema_for::<T>().to_value();
    simplify(&mut schema);
    schema
}

/// Removes what no event needs: an unknown member is absent and never `null`, and the widths of integers are Rust's.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("default");
            let is_width = |format: &Value| format.is_string() && format != "date-time";
            if members.get("format").is_some_and(is_width) {
                members.remove("format");
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    members["type"] = only.clone();
                }
            }
            members.values_mut().for_each(simplify);
        }
        Value::Array(parts) => parts.iter_mut().for_each(simplify),
        _ => {}
    }
}
