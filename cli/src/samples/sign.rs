//! Signs a body as the provider does.

use crate::error::Error;
use domain::{delivery::signature, values::fingerprint::fingerprint};
use jiff::Timestamp;
use serde_json::Value;

/// The headers of a delivery; without a secret, with a signature that never verifies. The id of the delivery follows from
/// the body, so the same body sent later is a resend.
///
/// # Errors
///
/// For a secret that is none.
pub fn headers(
    provider: &str,
    event: &Value,
    body: &str,
    secret: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(String, String)>, Error> {
    let (family, id) = if provider == "flint" {
        let id = event.get(super::id_member(provider));
        let id = id.and_then(Value::as_str).unwrap_or_default();
        ("webhook", id.to_owned())
    } else {
        let hash = fingerprint(body.as_bytes());
        ("svix", format!("msg_{}", hash.get(..27).unwrap_or(&hash)))
    };
    let signature = match secret {
        None => "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        Some(secret) => {
            let adapter = providers::unconnected(provider).map_err(Error::usage)?;
            let key = adapter
                .signing_key(secret)
                .map_err(|error| Error::usage(error.to_string()))?;
            signature::sign(&key, &id, now, body.as_bytes())
        }
    };
    Ok(vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (format!("{family}-id"), id),
        (format!("{family}-timestamp"), now.as_second().to_string()),
        (format!("{family}-signature"), signature),
    ])
}
