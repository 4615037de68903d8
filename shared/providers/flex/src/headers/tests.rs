use super::*;
use domain::delivery::signature::{Header, Key, sign};
use std::collections::BTreeMap;

const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNED_AT: i64 = 1_614_265_330;

fn now() -> Timestamp {
    Timestamp::from_second(SIGNED_AT).unwrap()
}

fn key() -> Key {
    crate::secret::key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn signature(id: &str) -> String {
    sign(&key(), id, now(), BODY)
}

/// The three headers of one family, correctly signed.
fn triple(family: usize, id: &str, signature: &str) -> Vec<(&'static str, String)> {
    let family = &FAMILIES[family];
    vec![
        (family.id, id.to_owned()),
        (family.timestamp, SIGNED_AT.to_string()),
        (family.signature, signature.to_owned()),
    ]
}

fn judge(headers: &[(&str, String)]) -> Result<String, Refusal> {
    let headers: BTreeMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    check(|name| headers.get(name).copied(), BODY, now())?
        .verify(&[key()])
        .map(String::from)
}

#[test]
fn each_family_proves_a_delivery() {
    let bare = signature("fevt_1").split_off(3);
    for (family, id, signature) in [
        (0, "msg_1", signature("msg_1")),
        (1, "msg_1", signature("msg_1")),
        (2, "fevt_1", bare),
    ] {
        let verdict = judge(&triple(family, id, &signature));
        assert_eq!(verdict.as_deref(), Ok(id), "family {family}");
    }
}

#[test]
fn the_published_vector_is_accepted() {
    let published = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    assert_eq!(judge(&triple(0, id, published)).as_deref(), Ok(id));
}

#[test]
fn without_any_one_of_the_three_nothing_is_proven() {
    for family in 0..FAMILIES.len() {
        let complete = triple(family, "msg_1", &signature("msg_1"));
        for left_out in 0..complete.len() {
            let mut headers = complete.clone();
            headers.remove(left_out);
            assert_eq!(
                judge(&headers),
                Err(Refusal::Missing),
                "family {family} without {left_out}"
            );
        }
    }
    assert_eq!(judge(&[]), Err(Refusal::Missing));
}

#[test]
fn nothing_is_put_together_from_two_families() {
    let mut headers = triple(0, "msg_1", &signature("msg_1"));
    headers.truncate(2);
    headers.push(("webhook-signature", signature("msg_1")));
    assert_eq!(judge(&headers), Err(Refusal::Missing));
}

#[test]
fn an_incomplete_family_does_not_stand_in_the_way() {
    let mut headers = triple(1, "msg_1", &signature("msg_1"));
    headers.push(("svix-id", "msg_2".to_owned()));
    assert_eq!(judge(&headers).as_deref(), Ok("msg_1"));
}

#[test]
fn of_two_families_that_disagree_the_documented_one_decides() {
    let forged = "v1,R3PTzyfHASBKHH98a7yexTwaJ4yNIcGhFQc1yuN+BPU=";
    let both = |svix: &str, webhook: &str| {
        judge(&[triple(0, "msg_1", svix), triple(1, "msg_2", webhook)].concat())
    };
    assert_eq!(both(&signature("msg_1"), forged).as_deref(), Ok("msg_1"));
    assert_eq!(both(forged, &signature("msg_2")), Err(Refusal::Forged));
}

#[test]
fn an_old_delivery_is_refused_in_every_family() {
    let later = Timestamp::from_second(SIGNED_AT + 301).unwrap();
    for family in 0..FAMILIES.len() {
        let headers = triple(family, "msg_1", &signature("msg_1"));
        let lookup = |name: &str| {
            headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        let checked = check(lookup, BODY, later);
        assert!(
            matches!(checked, Err(Refusal::Stale { seconds: 301, .. })),
            "{checked:?}"
        );
    }
}

#[test]
fn a_header_that_is_there_and_empty_is_malformed() {
    assert_eq!(
        judge(&triple(0, "", &signature(""))),
        Err(Refusal::Malformed(Header::Id))
    );
    assert_eq!(
        judge(&triple(0, "msg_1", "")),
        Err(Refusal::Malformed(Header::Signature))
    );
}
