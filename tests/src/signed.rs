//! Signs a body as the providers do, by the `svix` crate: our own code is not its own witness.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a secret that is none must stop the test"
)]

use domain::values::fingerprint::fingerprint;
use jiff::Timestamp;
use svix::webhooks::Webhook;

pub type Headers = Vec<(&'static str, String)>;

/// The headers for a body, signed now. The delivery's id follows from the body, so the same body sent later is a
/// resend of the same delivery.
pub fn signed_request(secret: &str, body: &str, now: Timestamp) -> Headers {
    let hash = fingerprint(body.as_bytes());
    signed_as(
        &format!("msg_{}", hash.get(..27).unwrap_or(&hash)),
        secret,
        body,
        now,
    )
}

/// The headers for a body under a given delivery id.
pub fn signed_as(delivery_id: &str, secret: &str, body: &str, now: Timestamp) -> Headers {
    // `svix` knows no prefix but its own.
    let webhook =
        Webhook::new(secret.strip_prefix("fwhsec_").unwrap_or(secret)).expect("a webhook secret");
    let signature = webhook
        .sign(delivery_id, now.as_second(), body.as_bytes())
        .expect("a text is signed");
    vec![
        ("svix-id", delivery_id.to_owned()),
        ("svix-timestamp", now.as_second().to_string()),
        ("svix-signature", signature),
    ]
}

/// The headers for the body of an event as Flint signs it. Flint's delivery id is the event's.
pub fn signed_by_flint(event_id: &str, secret: &str, body: &str, now: Timestamp) -> Headers {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let values = signed_as(event_id, secret, body, now).into_iter();
    names
        .into_iter()
        .zip(values.map(|(_, value)| value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kit_signs_flint_verifies() {
        let secret = crate::flint_shop::FLINT_SECRET;
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let headers = signed_by_flint("whev_1", secret, "{}", now);
        let lookup = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        let unverified = flint::check(lookup, b"{}", now).unwrap();
        let delivery_id = unverified.verify(&[flint::secret::key(secret).unwrap()]);
        assert_eq!(delivery_id.unwrap().as_str(), "whev_1");
    }

    #[test]
    fn what_the_kit_signs_flex_verifies() {
        let secret = "fwhsec_Y2NhZDczMDYtNDEyYi0xMWVlLTg5MTItNGY4Y2E5ZmU1MmI4";
        let now = Timestamp::from_second(1_713_904_734).unwrap();
        let keys = [flex::secret::key(secret).unwrap()];
        let headers = signed_request(secret, "{}", now);
        let lookup = |name: &str| {
            headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        let delivery_id = flex::check(lookup, b"{}", now)
            .unwrap()
            .verify(&keys)
            .unwrap();
        assert_eq!(delivery_id.as_str(), lookup("svix-id").unwrap());
        assert_eq!(signed_request(secret, "{}", now), headers);
    }
}
