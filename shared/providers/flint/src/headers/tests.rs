//! Checks against the vendor's vector, vectors of this project, and the `svix` crate.

use super::*;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::delivery::signature::{Direction, Header, Key, sign};
use http::HeaderMap;
use proptest::prelude::*;
use std::collections::BTreeMap;
use svix::webhooks::Webhook;

/// The bytes 00 to 1f, and 20 to 3f.
const SECRET_A: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECRET_B: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// <https://github.com/flint-pay/sdk-generator>, `tests/providers/flint/signing-vector.json`.
const VENDOR: Request<'_> = Request {
    id: "whev_test",
    timestamp: "1700000000",
    signatures: "v1,/hiJOnBg47YJCiwbXhOB2ygLlyQXGu6CHw8D3A/KW5o=",
    body: br#"{"id":"pi_123","status":"succeeded"}"#,
};
const VENDOR_LEGACY: &str =
    "t=1700000000,v1=6c03cf4f4f520506c386eb707258ec065f0df0350ba5c7955f721eaa9f5c0a60";

/// Computed for this project with another implementation.
const OURS: Request<'_> = Request {
    id: "whev_0001",
    timestamp: "1767225600",
    signatures: STANDARD_A,
    body: br#"{"webhook_event_id":"whev_0001","event_type":"order.paid","payload_version":1,"api_version":"2026-09-07","mode":"test","merchant_id":"mer_1","created_at":"2026-01-01T00:00:00Z","request":null,"data":{"order_id":"ord_1"}}"#,
};
const STANDARD_A: &str = "v1,U710pv6SASOvf2UkGJH7OPYYt4fg3eUafZMEKkJKhOo=";
const STANDARD_B: &str = "v1,Qkdr32acht4FhiirEKLrfjSEd4GgUBYmls0avNxP1bk=";
const LEGACY_A: &str = "bffd0f21554b3d7fdb7f906d110366dcafc13eb855071fe86c2eb065e0226112";

#[derive(Clone, Copy)]
struct Request<'a> {
    id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
    body: &'a [u8],
}

fn key(secret: &str) -> Key {
    crate::secret::key(secret).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_second(text.parse().unwrap()).unwrap()
}

/// The verdict on these headers at the moment of signing.
fn judge_headers(
    headers: &BTreeMap<&str, &str>,
    body: &[u8],
    keys: &[Key],
    now: Timestamp,
) -> Result<String, Refusal> {
    let checked = check(|name| headers.get(name).copied(), body, now)?;
    checked.verify(keys).map(String::from)
}

fn headers<'a>(request: &Request<'a>) -> BTreeMap<&'static str, &'a str> {
    BTreeMap::from([
        ("webhook-id", request.id),
        ("webhook-timestamp", request.timestamp),
        ("webhook-signature", request.signatures),
    ])
}

fn judge(request: &Request<'_>, keys: &[Key], now: Timestamp) -> Result<String, Refusal> {
    judge_headers(&headers(request), request.body, keys, now)
}

/// The verdict on our vector with these signatures, under both secrets.
fn with(signatures: &str) -> Result<String, Refusal> {
    let keys = [key(SECRET_A), key(SECRET_B)];
    let request = Request { signatures, ..OURS };
    judge(&request, &keys, at(OURS.timestamp))
}

#[test]
fn the_vendors_vector_and_ours_are_accepted() {
    for request in [VENDOR, OURS] {
        let now = at(request.timestamp);
        let verdict = judge(&request, &[key(SECRET_A)], now);
        assert_eq!(verdict.as_deref(), Ok(request.id));
        let signed = sign(&key(SECRET_A), request.id, now, request.body);
        assert_eq!(signed, request.signatures);
    }
    assert_eq!(OURS.body.len(), 220);
}

#[test]
fn during_a_rotation_either_secret_proves_a_delivery() {
    let both = format!("{STANDARD_B} {STANDARD_A}");
    let request = Request {
        signatures: &both,
        ..OURS
    };
    let (a, b) = (key(SECRET_A), key(SECRET_B));
    for keys in [vec![a.clone()], vec![b.clone()], vec![b.clone(), a.clone()]] {
        let verdict = judge(&request, &keys, at(OURS.timestamp));
        assert_eq!(verdict.as_deref(), Ok("whev_0001"));
    }
    let of_b = judge(&OURS, &[b], at(OURS.timestamp));
    assert_eq!(of_b, Err(Refusal::Forged));
}

#[test]
fn one_good_entry_is_enough_and_other_versions_are_skipped() {
    let good = |before: &str| with(&format!("{before} {STANDARD_A}"));
    let other_version = STANDARD_A.replace("v1,", "v2,");
    for before in [STANDARD_B, &other_version, "v1a,AAAA", "v1,AAAA", "hello"] {
        assert_eq!(good(before).as_deref(), Ok("whev_0001"), "{before}");
    }
    let unpadded = STANDARD_A.trim_end_matches('=');
    for bad in [unpadded, &other_version, "v1,", "hello"] {
        assert_eq!(with(bad), Err(Refusal::Forged), "{bad}");
    }
}

#[test]
fn another_body_id_or_time_is_refused() {
    let changed = br#"{"id":"pi_123","status":"succeedeD"}"#;
    let serialized_again = br#"{"id": "pi_123", "status": "succeeded"}"#;
    let forged = [
        Request {
            body: changed,
            ..VENDOR
        },
        Request {
            body: serialized_again,
            ..VENDOR
        },
        Request {
            id: "whev_tesu",
            ..VENDOR
        },
        Request {
            timestamp: "1700000001",
            ..VENDOR
        },
    ];
    for request in forged {
        let verdict = judge(&request, &[key(SECRET_A)], at(VENDOR.timestamp));
        assert_eq!(verdict, Err(Refusal::Forged));
    }
}

#[test]
fn a_delivery_is_fresh_for_five_minutes_both_ways() {
    let signed_at: i64 = VENDOR.timestamp.parse().unwrap();
    let later = |seconds: i64| at(&(signed_at + seconds).to_string());
    let judge = |seconds| judge(&VENDOR, &[key(SECRET_A)], later(seconds));
    for seconds in [-300, 0, 300] {
        assert_eq!(judge(seconds).as_deref(), Ok("whev_test"), "{seconds}");
    }
    for (seconds, direction) in [(-301, Direction::Future), (301, Direction::Past)] {
        let seconds_off = 301;
        let stale = Refusal::Stale {
            direction,
            seconds: seconds_off,
        };
        assert_eq!(judge(seconds), Err(stale));
    }
}

#[test]
fn a_missing_empty_or_doubled_header_proves_nothing() {
    let judge = |headers: &BTreeMap<&str, &str>| {
        let keys = [key(SECRET_A)];
        judge_headers(headers, VENDOR.body, &keys, at(VENDOR.timestamp))
    };
    let complete = headers(&VENDOR);
    for name in complete.keys() {
        let mut headers = complete.clone();
        headers.remove(name);
        assert_eq!(judge(&headers), Err(Refusal::Missing), "{name}");
    }
    let malformed = [
        ("webhook-id", "", Header::Id),
        ("webhook-id", "whev_test, whev_test", Header::Id),
        ("webhook-id", "whev_test.1", Header::Id),
        ("webhook-timestamp", "", Header::Timestamp),
        ("webhook-timestamp", "soon", Header::Timestamp),
        (
            "webhook-timestamp",
            "1700000000,1700000000",
            Header::Timestamp,
        ),
        ("webhook-signature", "", Header::Signature),
    ];
    for (name, value, header) in malformed {
        let mut headers = complete.clone();
        headers.insert(name, value);
        assert_eq!(judge(&headers), Err(Refusal::Malformed(header)), "{value}");
    }
    let doubled = format!("{0}, {0}", VENDOR.signatures);
    let mut headers = complete.clone();
    headers.insert("webhook-signature", &doubled);
    assert_eq!(judge(&headers).as_deref(), Ok("whev_test"));
}

#[test]
fn the_older_signature_proves_nothing_under_any_name() {
    let legacy = BTreeMap::from([
        ("x-flint-signature", VENDOR_LEGACY),
        ("x-flint-webhook-id", VENDOR.id),
    ]);
    let keys = [key(SECRET_A)];
    let now = at(VENDOR.timestamp);
    let verdict = judge_headers(&legacy, VENDOR.body, &keys, now);
    assert_eq!(verdict, Err(Refusal::Missing));
    let both: BTreeMap<_, _> = legacy
        .into_iter()
        .chain(headers(&Request {
            signatures: "v1,AAAA",
            ..VENDOR
        }))
        .collect();
    let verdict = judge_headers(&both, VENDOR.body, &keys, now);
    assert_eq!(verdict, Err(Refusal::Forged));
    for text in [
        LEGACY_A.to_owned(),
        format!("v1,{LEGACY_A}"),
        format!("v1={LEGACY_A}"),
    ] {
        assert_eq!(with(&text), Err(Refusal::Forged), "{text}");
    }
}

/// svix's verdict without its check of the time, which uses the system clock.
fn svix_accepts(secret: &[u8], request: &Request<'_>) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers(request) {
        map.insert(name, value.parse().unwrap());
    }
    let webhook = Webhook::from_bytes(secret.to_vec()).unwrap();
    let verdict = webhook.verify_ignoring_timestamp(request.body, &map);
    verdict.is_ok()
}

proptest! {
    #[test]
    fn svix_and_we_agree(
        secret in prop::collection::vec(any::<u8>(), 32),
        id in "whev_[A-Za-z0-9_-]{1,40}",
        seconds in 0..4_000_000_000_i64,
        body in any::<String>(),
        other in prop::option::of(any::<String>()),
    ) {
        let key = key(&format!("whsec_{}", STANDARD.encode(&secret)));
        let timestamp = seconds.to_string();
        let webhook = Webhook::from_bytes(secret.clone()).unwrap();
        let theirs = webhook.sign(&id, seconds, body.as_bytes()).unwrap();
        prop_assert_eq!(&sign(&key, &id, at(&timestamp), body.as_bytes()), &theirs);
        let sent = other.unwrap_or(body);
        let request = Request { id: &id, timestamp: &timestamp, signatures: &theirs, body: sent.as_bytes() };
        let verdict = judge(&request, &[key], at(&timestamp));
        prop_assert_eq!(verdict.is_ok(), svix_accepts(&secret, &request), "{:?}", verdict);
    }
}
