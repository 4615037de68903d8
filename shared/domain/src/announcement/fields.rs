//! The members of a state that differ.

use serde::Serialize;
use serde_json::Value;

/// The names of the members that differ between two states; all members if there was no state before.
pub(super) fn changed<S: Serialize>(before: Option<&S>, after: &S) -> Vec<String> {
    let before = before.map(members).unwrap_or_default();
    let after = members(after);
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let new = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value));
    let mut names: Vec<String> = new.map(|(name, _)| name).chain(gone).cloned().collect();
    names.sort();
    names
}

fn members<S: Serialize>(state: &S) -> serde_json::Map<String, Value> {
    match serde_json::to_value(state) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    }
}
