//! Answers other than 200, sorted into errors.

use domain::values::outcome::{ReadError, RetryableError};
use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use serde_json::Value;
use std::time::Duration;

/// The longest error code that is kept; the longest known one has 38 characters.
const MAX_CODE_LENGTH: usize = 64;

/// The headers and the body of an unsuccessful answer, as far as they count.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Refused<'a> {
    /// The wait that the provider asks for.
    pub(crate) retry_after: Option<Duration>,
    /// True if the provider states that the same request may succeed later.
    pub(crate) retryable: Option<bool>,
    pub(crate) body: &'a [u8],
}

/// Sorts an unsuccessful status. Without a statement of the provider, transient are 408, 429 and 5xx: those that Flex's
/// own plugin retries (<https://github.com/JoinFlexHealth/woocommerce>).
pub(crate) fn refused(service: &'static str, status: u16, answer: Refused<'_>) -> ReadError {
    let Refused {
        retry_after,
        retryable,
        body,
    } = answer;
    let is_transient = matches!(status, 408 | 429 | 500..=599);
    match status {
        401 | 403 => ReadError::KeyRefused { status },
        400..=599 if retryable.unwrap_or(is_transient) => RetryableError::Away {
            service,
            cause: format!("answered {status}"),
            retry_after,
        }
        .into(),
        400..=599 => ReadError::Permanent {
            status,
            code: code(body),
        },
        // Redirects are not followed, because the key would go with them. A redirect means a wrong
        // base URL, so the order waits for an operator's fix and is not parked.
        _ => RetryableError::SetUp {
            service,
            cause: format!("answered {status} to a read"),
        }
        .into(),
    }
}

/// True if the body may hold an error code: only permanent refusals do.
pub(crate) fn has_code(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 401 | 403 | 408 | 429)
}

/// Reads `retry-after`: seconds, or an HTTP date (RFC 9110, section 10.2.3). A past date means no
/// wait.
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// The flag at this place of an error body.
pub(crate) fn flag(body: &[u8], place: &str) -> Option<bool> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.pointer(place)?.as_bool()
}

/// The first code in an error body, in any known shape: `{"error": {"code"}}`
/// (<https://docs.withflex.com/api-reference/introduction>), `{"error": {"type"}}`, and `{"detail":
/// [{"type"}]}` (Flex's plugin). Anything that does not look like a code is dropped: an error text
/// may quote customer input.
fn code(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    ["/error/code", "/error/type", "/detail/0/type"]
        .iter()
        .filter_map(|place| body.pointer(place)?.as_str())
        .find(|code| is_code(code))
        .map(str::to_owned)
}

fn is_code(text: &str) -> bool {
    (1..=MAX_CODE_LENGTH).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BODY: Refused<'_> = Refused {
        retry_after: None,
        retryable: None,
        body: b"",
    };

    fn of(status: u16, body: &str) -> ReadError {
        let answer = Refused {
            body: body.as_bytes(),
            ..NO_BODY
        };
        refused("Flex", status, answer)
    }

    fn permanent(status: u16, code: &str) -> ReadError {
        ReadError::Permanent {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
        }
    }

    #[test]
    fn every_status_is_sorted() {
        for status in [401, 403] {
            assert_eq!(of(status, ""), ReadError::KeyRefused { status });
        }
        for status in [400, 402, 404, 405, 409, 410, 418, 422, 451, 499] {
            assert_eq!(of(status, ""), permanent(status, ""));
            assert!(has_code(status));
        }
        for status in [408, 429, 500, 502, 503, 504, 529, 599] {
            let wait = Some(Duration::from_secs(7));
            let expected = RetryableError::Away {
                service: "Flex",
                cause: format!("answered {status}"),
                retry_after: wait,
            };
            let answer = Refused {
                retry_after: wait,
                ..NO_BODY
            };
            assert_eq!(
                refused("Flex", status, answer),
                ReadError::Transient(expected)
            );
            assert!(!has_code(status));
        }
        for status in [100, 301, 302, 304, 307, 308, 600] {
            let answer = of(status, "");
            assert!(
                matches!(answer, ReadError::Transient(RetryableError::SetUp { .. })),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_stated_flag_decides_whether_waiting_helps() {
        let of = |status, retryable| {
            let answer = Refused {
                retryable: Some(retryable),
                ..NO_BODY
            };
            refused("Flint", status, answer)
        };
        for status in [400, 404, 408, 409, 429, 500, 503] {
            let later = of(status, true);
            assert!(matches!(later, ReadError::Transient(_)), "{later:?}");
            assert_eq!(of(status, false), permanent(status, ""));
        }
        for retryable in [true, false] {
            assert_eq!(of(401, retryable), ReadError::KeyRefused { status: 401 });
            let redirect = of(302, retryable);
            assert!(matches!(
                redirect,
                ReadError::Transient(RetryableError::SetUp { .. })
            ));
        }
        let body = br#"{"error":{"remediation":{"retryable":true}}}"#;
        assert_eq!(flag(body, "/error/remediation/retryable"), Some(true));
        assert_eq!(flag(body, "/error/retryable"), None);
        assert_eq!(flag(b"<html>", "/error/remediation/retryable"), None);
    }

    #[test]
    fn the_code_is_found_in_every_shape() {
        let of = |body: &str| of(422, body);
        assert_eq!(
            of(r#"{"error":{"code":"invalid_request","message":"no"}}"#),
            permanent(422, "invalid_request")
        );
        assert_eq!(
            of(r#"{"error":{"type":"not_found","param":"id"}}"#),
            permanent(422, "not_found")
        );
        assert_eq!(
            of(
                r#"{"detail":[{"loc":["price"],"msg":"price_not_found: …","type":"price_not_found"}]}"#
            ),
            permanent(422, "price_not_found")
        );
    }

    #[test]
    fn what_is_no_code_is_not_kept() {
        let long = format!(r#"{{"error":{{"code":"{}"}}}}"#, "a".repeat(65));
        for body in [
            "",
            "<html>Not Found</html>",
            "null",
            r#"{"detail":"Not Found"}"#,
            r#"{"detail":[]}"#,
            r#"{"error":"pat@example.com"}"#,
            r#"{"error":{"code":"no customer pat@example.com"}}"#,
            r#"{"error":{"code":404}}"#,
            r#"{"error":{"code":""}}"#,
            &long,
        ] {
            assert_eq!(of(404, body), permanent(404, ""), "{body}");
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        let wait = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        for nonsense in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(wait(nonsense), None, "{nonsense:?}");
        }
    }
}
