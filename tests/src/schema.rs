//! JSON Schemas of tests.

use serde_json::{Value, json};

/// The schema that allows no member without a description in it.
pub fn strict(mut schema: Value) -> Value {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                if members.get("properties").is_some_and(Value::is_object) {
                    members.insert("additionalProperties".to_owned(), json!(false));
                }
                members.values_mut().for_each(close);
            }
            Value::Array(parts) => parts.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}
