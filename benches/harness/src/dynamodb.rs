//! A stub of DynamoDB: items, conditions, transactions that conflict with others in flight, and the indexes `open`.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a `Value` gives null or makes the member"
)]

use crate::expression::{Item, holds, updated};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The keys of the tables, by the tables' names in the benchmark.
const KEYS: [(&str, &[&str]); 8] = [
    ("events", &["event_id"]),
    ("idempotency", &["id"]),
    ("orders", &["order_id"]),
    ("links", &["link"]),
    ("stock", &["sku", "entry"]),
    ("entitlements", &["customer_id", "entry"]),
    ("receipts", &["receipt_id"]),
    ("resources", &["resource_id"]),
];
/// Every SKU begins with this many pieces.
pub(crate) const ON_HAND: i64 = 100_000_000;
/// Items of a page. DynamoDB's pages have 1 MB; an item of the index `open` has about 250 bytes.
const PAGE: usize = 4_000;

/// A table and a key.
pub(crate) type Place = (String, String);

/// An answer: its status and its JSON.
pub(crate) type Answer = (StatusCode, Value);

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    tables: HashMap<String, BTreeMap<String, Item>>,
    /// The items of transactions that are in flight.
    busy: HashSet<Place>,
}

impl Tables {
    /// A table by its name.
    pub(crate) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &Item)> {
        self.tables.get(name).into_iter().flatten()
    }

    /// A table by its name, to change.
    pub(crate) fn table_mut(&mut self, name: &str) -> &mut BTreeMap<String, Item> {
        self.tables.entry(name.to_owned()).or_default()
    }

    /// An item by its table and key.
    pub(crate) fn item(&self, (table, key): &Place) -> Option<&Item> {
        self.tables.get(table)?.get(key)
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
            return refused(request, before);
        }
        let item = request["Item"].as_object().cloned().unwrap_or_default();
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
            return refused(request, before);
        }
        let after = after(request, &before);
        let mut answer = json!({});
        if text(request, "ReturnValues") == "UPDATED_OLD" {
            let changed = before.into_iter();
            let changed = changed.filter(|(name, value)| after.get(name) != Some(value));
            answer["Attributes"] = Value::Object(changed.collect());
        }
        self.table_mut(&place.0).insert(place.1, after);
        (StatusCode::OK, answer)
    }

    fn batch_get(&self, request: &Value) -> Answer {
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

    fn read(&self, table: &str, key: &Value) -> Option<Value> {
        let found = self.item(&place(table, key)).cloned();
        found.or_else(|| counter(table, key)).map(Value::Object)
    }

    /// A page of an index. The condition is on its keys alone; the order is that of the table's keys.
    fn query(&self, request: &Value) -> Answer {
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
        let mut answer = json!({"Count": page.len(), "ScannedCount": page.len()});
        if let (false, Some((key, _))) = (is_last, page.last()) {
            answer["LastEvaluatedKey"] = json!({"place": {"S": key}});
        }
        if text(request, "Select") != "COUNT" {
            answer["Items"] = page.into_iter().map(|(_, item)| projected(item)).collect();
        }
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
            match kind.as_str() {
                "Put" => {
                    let item = action["Item"].as_object().cloned();
                    after.push((place, item.unwrap_or_default()));
                }
                "Update" => after.push((place, self::after(action, &before))),
                _ => {}
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
fn projected(item: &Item) -> Value {
    let mut item = item.clone();
    item.remove("body");
    Value::Object(item)
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
