//! From bytes to JSON, and the comparison of two bodies as JSON.

use crate::value::whole;
use serde_json::Value;
use std::borrow::Cow;

const BYTE_ORDER_MARK: char = '\u{feff}';
/// What stands for a number that no type can hold. No whole number and no time reads it.
const BEYOND: &str = "1e308";

/// Reads a document, as legal JSON or in spite of what nothing needs to be legal:
///
/// - One byte order mark is skipped.
/// - Bytes that are not UTF-8, and half of an escaped surrogate pair, become U+FFFD. No id, code or
///   address has that character.
/// - A number beyond every float becomes the number 1e308.
///
/// `None` if it is not JSON, or nested deeper than 128 levels, at which `serde_json` stops. The
/// caller limits the length.
#[must_use]
pub fn document(bytes: &[u8]) -> Option<Value> {
    // Most bodies are valid, and checking that is several times as fast as looking for replacements.
    let text = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    // Only a document that fails is looked at twice.
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&mended(text)))
        .ok()
}

/// True if two bodies are the same JSON: the order of members, white space, escapes and the notation
/// of numbers do not count.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one == other
        || document(one)
            .zip(document(other))
            .is_some_and(|(one, other)| equal(&one, &other))
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, one)| other.get(name).is_some_and(|other| equal(one, other)))
        }
        (Value::Number(one_number), Value::Number(other_number)) => {
            one_number == other_number
                || whole(one).is_some_and(|number| whole(other) == Some(number))
        }
        (one, other) => one == other,
    }
}

/// The document with the escapes and numbers replaced that `serde_json` refuses.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_string = false;
    while let Some(next) = rest.chars().next() {
        let (length, replaced) = match next {
            '\\' if is_string => escape(rest),
            '-' | '0'..='9' if !is_string => number(rest),
            next => {
                is_string ^= next == '"';
                (next.len_utf8(), None)
            }
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push_str(&replaced.unwrap_or(Cow::Borrowed(token)));
        rest = after;
    }
    out
}

/// The length of the escape at the start, and its replacement if it is half a surrogate pair.
fn escape(text: &str) -> (usize, Option<Cow<'static, str>>) {
    match unit(text) {
        Some(0xD800..=0xDBFF) => match text.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => (12, None),
            _ => (6, Some(Cow::Borrowed("\\ufffd"))),
        },
        Some(0xDC00..=0xDFFF) => (6, Some(Cow::Borrowed("\\ufffd"))),
        Some(_) => (6, None),
        // `\"` and `\\` among them: the second character never ends the string.
        None => {
            let escaped = text.chars().nth(1).map_or(0, char::len_utf8);
            (1 + escaped, None)
        }
    }
}

/// The code unit of `\uXXXX` at the start.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The length of the number at the start, and its replacement if no float holds it.
fn number(text: &str) -> (usize, Option<Cow<'static, str>>) {
    let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let token = text.get(..length).unwrap_or_default();
    match token.parse::<f64>() {
        Ok(float) if float.is_infinite() => (length, Some(Cow::Borrowed(BEYOND))),
        _ => (length, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Option<Value> {
        document(text.as_bytes())
    }

    #[test]
    fn half_an_emoji_becomes_the_replacement_character() {
        for (text, value) in [
            (r#""soon \ud83d""#, "soon \u{fffd}"),
            (r#""\udc00 soon""#, "\u{fffd} soon"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\uD83D\uDE00 \ud83d\n""#, "😀 \u{fffd}\n"),
            (r#""\\ud83d \ud83d\\""#, "\\ud83d \u{fffd}\\"),
            (r#""\"\ud83d\u0041""#, "\"\u{fffd}A"),
        ] {
            assert_eq!(read(text), Some(json!(value)), "{text}");
        }
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        assert_eq!(read("\u{feff}[1]"), Some(json!([1])));
        assert_eq!(read("\u{feff}\u{feff}[1]"), None);
        let name = read("\u{feff}{\"\u{feff}\": \"\u{feff}\"}");
        assert_eq!(name, Some(json!({"\u{feff}": "\u{feff}"})));
    }

    #[test]
    fn bytes_that_are_not_utf_8_cost_only_their_text() {
        let read = document(b"{\"a\": \"caf\xe9\", \"b\": 1}");
        assert_eq!(read, Some(json!({"a": "caf\u{fffd}", "b": 1})));
    }

    #[test]
    fn a_number_beyond_all_ranges_costs_only_itself() {
        let digits = "9".repeat(400);
        let text = format!(r#"{{"a": 1e999, "b": -{digits}, "c": "1e999", "d": 5}}"#);
        let read = read(&text).unwrap();
        assert_eq!((&read["c"], &read["d"]), (&json!("1e999"), &json!(5)));
        assert_eq!((whole(&read["a"]), whole(&read["b"])), (None, None));
    }

    #[test]
    fn what_is_not_json_stays_unread() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in [
            "",
            "hello",
            "{",
            "{\"a\":}",
            "\"\\ud83\"",
            "\"\\x\"",
            "[1e]",
            "[01]",
            "[1] [2]",
            "\"\\",
            &deep,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_json_has_many_spellings() {
        let one = r#"{"a": [1, 6994], "b": "é", "c": {"x": null, "y": true}}"#;
        for other in [
            r#"{"c":{"y":true,"x":null},"b":"\u00e9","a":[1.0,6.994e3]}"#,
            "\u{feff}{\"b\": \"\\u00E9\", \"a\": [1, 6994.0], \"c\": {\"x\": null, \"y\": true}}\n",
        ] {
            assert!(same(one.as_bytes(), other.as_bytes()), "{other}");
        }
        for other in [
            r#"{"a": [6994, 1], "b": "é", "c": {"x": null, "y": true}}"#,
            r#"{"a": [1, 6994.5], "b": "é", "c": {"x": null, "y": true}}"#,
            r#"{"a": [1, 6994], "b": "é", "c": {"y": true}}"#,
            r#"{"a": [1, 6994], "b": "e", "c": {"x": null, "y": true}}"#,
            r#"{"a": [1, "6994"], "b": "é", "c": {"x": null, "y": true}}"#,
            "hello",
        ] {
            assert!(!same(one.as_bytes(), other.as_bytes()), "{other}");
        }
        assert!(same(b"hello", b"hello"));
        assert!(!same(b"hello", b"hallo"));
    }

    proptest! {
        #[test]
        fn a_legal_document_is_never_changed(texts in prop::collection::vec(any::<String>(), 0..4), number: i64) {
            let value = json!({"texts": texts, "number": number, "nested": [[{}]]});
            prop_assert_eq!(mended(&value.to_string()), value.to_string());
            prop_assert_eq!(document(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text: String) {
            let _ = (document(&bytes), mended(&text), mended(&String::from_utf8_lossy(&bytes)));
        }
    }
}
