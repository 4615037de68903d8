//! Times, in the three spellings that Flex uses.

use jiff::Timestamp;
use serde_json::Value;

/// Reads Unix seconds, as a number or as digits, or an ISO 8601 text; `None` for anything else.
///
/// Events and sessions have numbers, other resources have text. A redelivered event has text where
/// the first delivery had a number
/// (<https://docs.withflex.com/api-reference/events/retry-event.md>).
pub(crate) fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => Timestamp::from_second(seconds.as_i64()?).ok(),
        Value::String(text) => match text.parse() {
            Ok(seconds) => Timestamp::from_second(seconds).ok(),
            Err(_) => text.parse().ok(),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_three_spellings_are_read() {
        let expected: Timestamp = "2025-10-10T09:53:21Z".parse().unwrap();
        for value in [
            json!(1_760_090_001),
            json!("1760090001"),
            json!("2025-10-10T09:53:21Z"),
        ] {
            assert_eq!(timestamp(&value), Some(expected), "{value}");
        }
        assert!(timestamp(&json!("2024-04-23T14:14:16.029253Z")).is_some());
    }

    #[test]
    fn anything_else_is_no_time() {
        for value in [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
            json!("soon"),
            json!(1.5),
            json!(i64::MAX),
        ] {
            assert_eq!(timestamp(&value), None, "{value}");
        }
    }
}
