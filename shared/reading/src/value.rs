//! The types of fields, each with its legal notations.

use crate::{field::Field, text};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// A type of a field.
pub trait Readable: Sized {
    /// The value in this type; `None` if it is not understood.
    fn read(value: Value) -> Option<Self>;
}

/// Reads a structure whose fields are all [`Field`]s. Only an object is one: `serde` would also fill
/// it from a list, by position.
#[must_use]
pub fn object<T: DeserializeOwned>(value: Value) -> Option<T> {
    value
        .is_object()
        .then(|| serde_json::from_value(value))?
        .ok()
}

/// Defines structures whose members are all [`Field`]s, each [`Readable`] from an object.
#[macro_export]
macro_rules! structures {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
            #[serde(default)]
            pub struct $name { $($(#[$attribute])* pub $field: $type,)+ }

            impl $crate::Readable for $name {
                fn read(value: serde_json::Value) -> Option<Self> {
                    $crate::object(value)
                }
            }
        )+
    };
}

/// A code that was typed or scanned, such as a SKU. A whole number without quotes is one too.
/// Without invisible characters and surrounding space; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(pub String);

impl Readable for String {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Readable for Code {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self(text::code(&text))),
            Value::Number(number) if number.is_u64() => Some(Self(number.to_string())),
            value => whole(&value).map(|number| Self(number.to_string())),
        }
    }
}

impl Readable for bool {
    fn read(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Readable for i64 {
    fn read(value: Value) -> Option<Self> {
        whole(&value)
    }
}

impl Readable for Timestamp {
    fn read(value: Value) -> Option<Self> {
        timestamp(&value)
    }
}

impl Readable for Map<String, Value> {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

impl<T: Readable> Readable for Vec<Field<T>> {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Array(elements) => Some(elements.into_iter().map(Field::of).collect()),
            _ => None,
        }
    }
}

/// The end of the whole numbers in float notation. Below it, floats are so close to each other that
/// the last bit, which `serde_json` may get wrong, never makes another whole number.
const MOST_EXACT: f64 = 1e14;

/// A whole number in any notation: `6994`, `6994.0`, `6.994e3`. A fraction or a text is none, and
/// neither is a float that may stand for several whole numbers.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| exact(number))
}

fn exact(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    if float.fract() != 0.0 || float.abs() >= MOST_EXACT {
        return None;
    }
    // Printed without a fraction, since no conversion keeps all values of both types.
    format!("{float:.0}").parse().ok()
}

/// The last second of the year 9999, at which Unix seconds end.
const LAST_SECOND: i64 = 253_402_207_200;

/// A time, in any legal notation:
///
/// - RFC 3339 (<https://www.rfc-editor.org/rfc/rfc3339#section-5.6>): lower-case `t` and `z`, a
///   space as separator, any offset, up to nine digits of a second's fraction, and leap seconds. A
///   text without an offset names no moment, so it is not understood.
/// - Unix seconds, as a number or as digits, with or without a fraction of zeros. A number beyond
///   the year 9999 cannot mean seconds: it is in milliseconds, which then begin in 1978.
#[must_use]
pub fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(_) => unix(whole(value)?),
        Value::String(text) => {
            let text = text::code(text);
            match text.parse() {
                Ok(number) => unix(number),
                Err(_) => text.parse().ok(),
            }
        }
        _ => None,
    }
}

fn unix(number: i64) -> Option<Timestamp> {
    if number.abs() <= LAST_SECOND {
        Timestamp::from_second(number).ok()
    } else {
        Timestamp::from_millisecond(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, json};

    #[test]
    fn a_whole_number_has_many_notations() {
        for text in ["6994", "6994.0", "6.994e3", "69940e-1", "6.994E+3"] {
            assert_eq!(whole(&from_str(text).unwrap()), Some(6994), "{text}");
        }
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("-1.0", -1),
            ("9223372036854775807", i64::MAX),
            ("99999999999999.0", 99_999_999_999_999),
            ("1760090001000.0000000000", 1_760_090_001_000),
        ] {
            assert_eq!(whole(&from_str(text).unwrap()), Some(number), "{text}");
        }
    }

    #[test]
    fn a_number_that_is_not_certainly_whole_is_not_understood() {
        for text in [
            "69.94",
            "\"6994\"",
            "6994.000000000001",
            "1e-3",
            "100000000000000.0",
            "9223372036854775808",
            "1e300",
            "true",
            "null",
            "[6994]",
            "{}",
        ] {
            assert_eq!(whole(&from_str(text).unwrap()), None, "{text}");
        }
    }

    #[test]
    fn a_time_has_many_notations() {
        let expected: Timestamp = "2025-10-10T09:53:21Z".parse().unwrap();
        for value in [
            json!(1_760_090_001),
            json!(1_760_090_001.0),
            json!("1760090001"),
            json!(" 1760090001\u{200b}"),
            json!(1_760_090_001_000_i64),
            json!("1760090001000"),
            json!("2025-10-10T09:53:21Z"),
            json!("2025-10-10t09:53:21z"),
            json!("2025-10-10 09:53:21Z"),
            json!("2025-10-10T09:53:21+00:00"),
            json!("2025-10-10T09:53:21-00:00"),
            json!("2025-10-10T11:53:21.000+02:00"),
            json!("2025-10-10T15:23:21.000000000+05:30"),
            json!("2025-10-09T22:53:21-11:00"),
            json!("\u{feff}2025-10-10T09:53:21Z "),
        ] {
            assert_eq!(timestamp(&value), Some(expected), "{value}");
        }
        let leap = timestamp(&json!("2016-12-31T23:59:60Z"));
        assert_eq!(leap.unwrap().as_second(), 1_483_228_799);
        let part = timestamp(&json!("2024-04-23T14:14:16.029253Z"));
        assert_eq!(part.unwrap().subsec_nanosecond(), 29_253_000);
    }

    #[test]
    fn a_text_that_names_no_moment_is_not_understood() {
        for value in [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
            json!("soon"),
            json!(1.5),
            json!(i64::MAX),
            json!("2025-10-10"),
            json!("2025-10-10T09:53:21"),
            json!("10/11/2025"),
            json!("2025-13-10T09:53:21Z"),
        ] {
            assert_eq!(timestamp(&value), None, "{value}");
        }
    }

    #[test]
    fn a_code_may_be_a_number() {
        for (value, code) in [
            (json!("BRACE-M"), "BRACE-M"),
            (json!(" BRACE\u{ad}-M\u{200b} "), "BRACE-M"),
            (json!(850_001_234_567_u64), "850001234567"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(7.0), "7"),
        ] {
            assert_eq!(Code::read(value), Some(Code(code.to_owned())));
        }
        for value in [json!(7.5), json!(true), json!([]), json!({})] {
            assert_eq!(Code::read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, PartialEq, Default, serde::Deserialize)]
        #[serde(default)]
        struct Part {
            amount: Field<i64>,
        }
        assert_eq!(object::<Part>(json!([5])), None);
        let amount = Field::Understood(5);
        assert_eq!(object(json!({"amount": 5})), Some(Part { amount }));
    }
}
