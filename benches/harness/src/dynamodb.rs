//! A stub of DynamoDB: items, conditions, transactions that conflict with others in flight, and the indexes `open`.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::{
    expression::{Item, holds, updated},
    measure::float,
};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The keys of the tables, by the tables' names in the benchmark.
const KEYS: [(&str, &[&str]); 9] = [
    ("events", &["event_id"]),
    ("idempotency", &["id"]),
    ("orders", &["order_id"]),
    ("links", &["link"]),
    ("stock", &["sku", "entry"]),
    ("entitlements", &["customer_id", "entry"]),
    ("receipts", &["receipt_id"]),
    ("resources", &["resource_id"]),
    ("announcements", &["batch_id"]),
];
/// Every SKU begins with this many pieces.
pub(crate) const ON_HAND: i64 = 100_000_000;
/// Items of a page. DynamoDB's pages have 1 MB; an item of the index `open` has about 250 bytes.
const PAGE: usize = 4_000;

/// The key attributes of the indexes, by table. True if an index has all attributes.
const INDEXES: [(&str, &str, bool); 9] = [
    ("events", "open", false),
    ("orders", "client_reference_id", false),
    ("orders", "customer_id", false),
    ("stock", "open", true),
    ("entitlements", "subscription_id", false),
    ("receipts", "open", false),
    ("resources", "list", true),
    ("resources", "sale", false),
    ("announcements", "open", false),
];

/// The capacity that DynamoDB bills, on demand
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>).
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Units {
    /// One for each KB of an item, two in a transaction, and those of the indexes.
    pub(crate) write: f64,
    /// One for each 4 KB of an item.
    pub(crate) read: f64,
}

/// A table and a key.
pub(crate) type Place = (String, String);

/// An answer: its status and its JSON.
pub(crate) type Answer = (StatusCode, Value);

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// The items of each table, by their keys.
    by_name: HashMap<String, BTreeMap<String, Item>>,
    /// The items of transactions that are in flight.
    busy: HashSet<Place>,
    /// The capacity billed since the last time.
    pub(crate) units: Units,
}

impl Tables {
    /// A table by its name.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &Item)> {
        self.by_name.get(name).into_iter().flatten()
    }

    /// A table by its name, to change.
    pub(crate) fn table_mut(&mut self, name: &str) -> &mut BTreeMap<String, Item> {
        self.by_name.entry(name.to_owned()).or_default()
    }

    /// An item by its table and key.
    pub(crate) fn item(&self, (table, key): &Place) -> Option<&Item> {
        self.by_name.get(table)?.get(key)
    }

    /// The item for a condition or an update: a counter is there for every SKU, another item may be missing.
    fn before(&self, place: &Place, key: &Value) -> Item {
        match self.item(place) {
            Some(item) => item.clone(),
            None => counter(&place.0, key).unwrap_or_default(),
        }
    }

    /// Answers one action that is no transaction.
    pub(crate) fn answer(&mut self, action: &str, request: &Value) -> Option<Answer> {
        Some(match action {
            "PutItem" => self.put(request),
            "UpdateItem" => self.update(request),
            "GetItem" => {
                let found = self.read(text(request, "TableName"), &request["Key"]);
                let answer = found.map_or_else(|| json!({}), |item| json!({"Item": item}));
                (StatusCode::OK, answer)
            }
            "BatchGetItem" => self.batch_get(request),
            "Query" => self.query(request),
            _ => return None,
        })
    }

    fn put(&mut self, request: &Value) -> Answer {
        let place = place(text(request, "TableName"), &request["Item"]);
        if self.busy.contains(&place) {
            return conflict();
        }
        let before = self.item(&place).cloned().unwrap_or_default();
        if !holds(condition(request), request, &before) {
            self.units.write += kilobytes(size(&before), 1);
            return refused(request, before);
        }
        let item = request["Item"].as_object().cloned().unwrap_or_default();
        self.units.write += written(&place.0, &before, &item, 1.0);
        self.table_mut(&place.0).insert(place.1, item);
        (StatusCode::OK, json!({}))
    }

    fn update(&mut self, request: &Value) -> Answer {
        let place = place(text(request, "TableName"), &request["Key"]);
        if self.busy.contains(&place) {
            return conflict();
        }
        let before = self.before(&place, &request["Key"]);
        if !holds(condition(request), request, &before) {
            self.units.write += kilobytes(size(&before), 1);
            return refused(request, before);
        }
        let after = after(request, &before);
        self.units.write += written(&place.0, &before, &after, 1.0);
        let mut answer = json!({});
        if text(request, "ReturnValues") == "UPDATED_OLD" {
            let changed = before.into_iter();
            let changed = changed.filter(|(name, value)| after.get(name) != Some(value));
            answer["Attributes"] = Value::Object(changed.collect());
        }
        self.table_mut(&place.0).insert(place.1, after);
        (StatusCode::OK, answer)
    }

    fn batch_get(&mut self, request: &Value) -> Answer {
        let tables = request["RequestItems"].as_object().into_iter().flatten();
        let responses = tables.map(|(table, of_table)| {
            let keys = of_table["Keys"].as_array().into_iter().flatten();
            let found = keys.filter_map(|key| self.read(table, key));
            (table.clone(), Value::Array(found.collect()))
        });
        let responses: Map<_, _> = responses.collect();
        let answer = json!({"Responses": responses, "UnprocessedKeys": {}});
        (StatusCode::OK, answer)
    }

    fn read(&mut self, table: &str, key: &Value) -> Option<Value> {
        let found = self.item(&place(table, key)).cloned();
        let found = found.or_else(|| counter(table, key));
        self.units.read += kilobytes(found.as_ref().map_or(0, size), 4);
        found.map(Value::Object)
    }

    /// A page of an index. The condition is on its keys alone; the order is that of the table's keys.
    fn query(&mut self, request: &Value) -> Answer {
        let (table, condition) = (
            text(request, "TableName"),
            request["KeyConditionExpression"].as_str(),
        );
        let after = request["ExclusiveStartKey"]["place"]["S"].as_str();
        let items = self.table(table);
        let mut items = items
            .filter(|(key, _)| after.is_none_or(|after| key.as_str() > after))
            .filter(|(_, item)| holds(condition, request, item));
        let page: Vec<_> = items.by_ref().take(PAGE).collect();
        let is_last = items.next().is_none();
        drop(items);
        let mut answer = json!({"Count": page.len(), "ScannedCount": page.len()});
        if let (false, Some((key, _))) = (is_last, page.last()) {
            answer["LastEvaluatedKey"] = json!({"place": {"S": key}});
        }
        let items: Vec<_> = page.into_iter().map(|(_, item)| projected(item)).collect();
        // An index is read as it is: half a unit.
        let read = kilobytes(items.iter().map(size).sum(), 4) / 2.0;
        if text(request, "Select") != "COUNT" {
            answer["Items"] = items.into_iter().map(Value::Object).collect();
        }
        self.units.read += read;
        (StatusCode::OK, answer)
    }

    /// Begins a transaction: its items are busy from now on. If others are, it is cancelled.
    pub(crate) fn begin(&mut self, request: &Value) -> Result<Vec<Place>, Answer> {
        let places: Vec<_> = actions(request)
            .map(|(_, action)| place_of(action))
            .collect();
        let conflicts: Vec<_> = (places.iter())
            .map(|place| self.busy.contains(place).then_some("TransactionConflict"))
            .collect();
        if conflicts.iter().any(Option::is_some) {
            return Err(cancelled(&conflicts));
        }
        self.busy.extend(places.iter().cloned());
        Ok(places)
    }

    /// Ends the time in which the items of a transaction are busy.
    pub(crate) fn end(&mut self, places: &[Place]) {
        for place in places {
            self.busy.remove(place);
        }
    }

    /// Carries out all actions of a transaction, or none.
    pub(crate) fn transact(&mut self, request: &Value) -> Answer {
        let mut after = Vec::new();
        let mut refusals = Vec::new();
        for (kind, action) in actions(request) {
            let place = place_of(action);
            let key = &action["Key"];
            let before = self.before(&place, key);
            let is_refused = !holds(condition(action), action, &before);
            refusals.push(is_refused.then_some("ConditionalCheckFailed"));
            let item = match kind.as_str() {
                "Put" => action["Item"].as_object().cloned().unwrap_or_default(),
                "Update" => self::after(action, &before),
                _ => before.clone(),
            };
            self.units.write += written(&place.0, &before, &item, 2.0);
            if kind != "ConditionCheck" {
                after.push((place, item));
            }
        }
        if refusals.iter().any(Option::is_some) {
            return cancelled(&refusals);
        }
        for ((table, key), item) in after {
            self.table_mut(&table).insert(key, item);
        }
        (StatusCode::OK, json!({}))
    }
}

pub(crate) fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or_default()
}

/// The table and the key of an item.
pub(crate) fn place(table: &str, attributes: &Value) -> Place {
    let names = KEYS.iter().find(|(name, _)| *name == table);
    let names = names.map_or(&[][..], |(_, names)| names);
    let values = names
        .iter()
        .filter_map(|name| attributes[*name]["S"].as_str());
    (table.to_owned(), values.collect::<Vec<_>>().join(" "))
}

/// The actions of a transaction, each with its kind.
fn actions(request: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let actions = request["TransactItems"].as_array().into_iter().flatten();
    actions.filter_map(|action| action.as_object()?.iter().next())
}

fn place_of(action: &Value) -> Place {
    let key = ["Item", "Key"].map(|name| &action[name]);
    let key = key.into_iter().find(|it| it.is_object());
    place(text(action, "TableName"), key.unwrap_or(&Value::Null))
}

/// The counter of a SKU that nothing has written yet.
fn counter(table: &str, key: &Value) -> Option<Item> {
    let is_counter = table == "stock" && key["entry"]["S"] == "counter";
    let mut counter = key.as_object().filter(|_| is_counter)?.clone();
    counter.insert("on_hand".to_owned(), json!({"N": ON_HAND.to_string()}));
    Some(counter)
}

fn condition(request: &Value) -> Option<&str> {
    request["ConditionExpression"].as_str()
}

/// The item after an update. An update of a missing item makes it, with its key.
fn after(request: &Value, before: &Item) -> Item {
    let mut after = updated(text(request, "UpdateExpression"), request, before);
    let key = request["Key"].as_object().cloned().unwrap_or_default();
    after.extend(key);
    after
}

/// The attributes that the indexes have: an event's body is in none.
fn projected(item: &Item) -> Item {
    let mut item = item.clone();
    item.remove("body");
    item
}

/// The units of a write, and of the indexes that have the item. `times` is 2 in a transaction.
fn written(table: &str, before: &Item, after: &Item, times: f64) -> f64 {
    let indexes = INDEXES.iter().filter(|(of, ..)| *of == table);
    let of_indexes = indexes.map(
        |(_, key, has_all)| match (before.get(*key), after.get(*key)) {
            (None, None) => 0.0,
            (Some(old), Some(new)) if old != new => 2.0,
            (Some(_), Some(_)) if !has_all || before == after => 0.0,
            _ => 1.0,
        },
    );
    times * kilobytes(size(before).max(size(after)), 1) + of_indexes.sum::<f64>()
}

/// The units of this many KB each, one at least.
fn kilobytes(bytes: usize, each: usize) -> f64 {
    float(bytes.div_ceil(1024 * each).max(1))
}

/// The size that DynamoDB counts for an item.
fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + of_value(value))
        .sum()
}

fn of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|it| it.iter().next()) else {
        return 1;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(digits)) => digits.len() / 2 + 1,
        ("B", Value::String(base64)) => base64.len() / 4 * 3,
        (_, Value::String(text)) => text.len(),
        (_, Value::Object(map)) => 3 + map.len() + size(map),
        (_, Value::Array(list)) => 3 + list.iter().map(|it| 1 + of_value(it)).sum::<usize>(),
        _ => 1,
    }
}

fn refused(request: &Value, before: Item) -> Answer {
    let mut answer = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    });
    if text(request, "ReturnValuesOnConditionCheckFailure") == "ALL_OLD" {
        answer["Item"] = Value::Object(before);
    }
    (StatusCode::BAD_REQUEST, answer)
}

fn conflict() -> Answer {
    let answer = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    });
    (StatusCode::BAD_REQUEST, answer)
}

fn cancelled(reasons: &[Option<&str>]) -> Answer {
    let reasons = reasons.iter().map(|reason| match reason {
        Some(code) => json!({"Code": code, "Message": code}),
        None => json!({"Code": "None"}),
    });
    let answer = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons.collect::<Vec<_>>(),
    });
    (StatusCode::BAD_REQUEST, answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        for request in [
            json!({"TableName": "orders", "Item": {"order_id": {"S": "1"}, "version": {"N": "1"}}}),
            json!({"TableName": "orders", "Item": {"order_id": {"S": "2"}, "note": {"S": "n".repeat(1100)}}}),
        ] {
            assert_eq!(
                tables.answer("PutItem", &request).map(|it| it.0),
                Some(StatusCode::OK)
            );
        }
        tables
    }

    fn move_of(sku: &str, version: &str) -> Value {
        json!({"TransactItems": [
            {"Update": {
                "TableName": "stock",
                "Key": {"sku": {"S": sku}, "entry": {"S": "counter"}},
                "UpdateExpression": "SET on_hand = on_hand - :one",
                "ConditionExpression": "on_hand >= :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }},
            {"ConditionCheck": {
                "TableName": "orders",
                "Key": {"order_id": {"S": "1"}},
                "ConditionExpression": "version = :seen",
                "ExpressionAttributeValues": {":seen": {"N": version}},
            }},
        ]})
    }

    #[test]
    fn a_transaction_writes_all_or_nothing() {
        let mut tables = tables();
        let on_hand = |tables: &Tables| {
            let counter = tables.item(&("stock".to_owned(), "A counter".to_owned()));
            counter.map(|item| item["on_hand"]["N"].clone())
        };
        let refused = tables.transact(&move_of("A", "2"));
        assert_eq!(
            refused.1["CancellationReasons"][1]["Code"],
            "ConditionalCheckFailed"
        );
        assert_eq!(on_hand(&tables), None);
        assert_eq!(tables.transact(&move_of("A", "1")).0, StatusCode::OK);
        assert_eq!(on_hand(&tables), Some(json!((ON_HAND - 1).to_string())));
    }

    #[test]
    fn an_item_in_flight_cancels_other_transactions_until_its_own_ends() {
        let mut tables = tables();
        let places = tables.begin(&move_of("A", "1")).unwrap();
        let (_, cancelled) = tables.begin(&move_of("A", "1")).unwrap_err();
        assert_eq!(
            cancelled["CancellationReasons"][0]["Code"],
            "TransactionConflict"
        );
        let put = json!({"TableName": "orders", "Item": {"order_id": {"S": "1"}}});
        assert_eq!(
            tables.answer("PutItem", &put).map(|it| it.0),
            Some(StatusCode::BAD_REQUEST)
        );
        tables.end(&places);
        assert!(tables.begin(&move_of("A", "1")).is_ok());
    }

    #[test]
    fn units_are_counted_by_size() {
        let mut tables = tables();
        // The second order has more than 1 KB.
        assert!(
            (tables.units.write - 3.0).abs() < 1e-9,
            "{:?}",
            tables.units
        );
        tables.units = Units::default();
        let get = json!({"TableName": "orders", "Key": {"order_id": {"S": "2"}}});
        tables.answer("GetItem", &get);
        tables.transact(&move_of("A", "1"));
        let Units { write, read } = tables.units;
        assert!(
            (write - 4.0).abs() < 1e-9 && (read - 1.0).abs() < 1e-9,
            "{write} {read}"
        );
    }
}
