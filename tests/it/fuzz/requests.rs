//! Signed requests, genuine and not, and the secrets that they are signed with.

use super::{
    Tally, hold, in_time,
    mutation::{SAMPLES, mutant},
};
use domain::delivery::signature::{Direction, Header, Refusal, sign};
use jiff::Timestamp;
use kit::story::SECRET;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::time::Instant;
use svix::webhooks::Webhook;

/// The time of our clock.
const NOW: i64 = 1_760_090_000;
/// The names of each family's headers.
const FAMILIES: [[&str; 3]; 3] = [
    ["svix-id", "svix-timestamp", "svix-signature"],
    ["webhook-id", "webhook-timestamp", "webhook-signature"],
    ["flex-event-id", "flex-timestamp", "flex-signature"],
];

/// The content that its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignedFor {
    This,
    AnotherBody,
    AnotherId,
    AnotherTime,
    AnotherKey,
    /// There is none.
    Nothing,
}

/// A request as it comes in.
#[derive(Debug, Clone)]
struct Request {
    family: [&'static str; 3],
    body: Vec<u8>,
    id: String,
    timestamp: String,
    signatures: String,
    signed_for: SignedFor,
}

/// Signs as the provider does: by its own crate where that can, since our code is not its own witness. It takes no body
/// that is not UTF-8.
fn signature(secret: &str, id: &str, at: i64, body: &[u8]) -> Option<String> {
    let webhook = Webhook::new(secret.strip_prefix("fwhsec_")?).ok()?;
    webhook.sign(id, at, body).ok().or_else(|| {
        Some(sign(
            &flex::secret::key(secret).ok()?,
            id,
            Timestamp::from_second(at).ok()?,
            body,
        ))
    })
}

impl Request {
    /// The entry that proves it, if it can have one: what is signed is a whole number of seconds.
    fn proof(&self) -> Option<String> {
        let at = self
            .timestamp
            .parse::<i64>()
            .ok()
            .filter(|at| at.to_string() == self.timestamp)?;
        signature(SECRET, &self.id, at, &self.body)
    }

    fn entry(&self) -> Option<String> {
        let at = self.timestamp.parse().unwrap_or(NOW);
        match self.signed_for {
            SignedFor::This => self.proof(),
            SignedFor::AnotherBody => {
                signature(SECRET, &self.id, at, &[&self.body[..], b" "].concat())
            }
            SignedFor::AnotherId => signature(SECRET, &format!("{}_", self.id), at, &self.body),
            SignedFor::AnotherTime => signature(SECRET, &self.id, at.wrapping_add(1), &self.body),
            SignedFor::AnotherKey => signature(
                "fwhsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBrZXk=",
                &self.id,
                at,
                &self.body,
            ),
            SignedFor::Nothing => None,
        }
    }

    /// The expected verdict, computed apart from the code.
    fn verdict(&self) -> &'static str {
        let is_id = (1..=255).contains(&self.id.len())
            && self
                .id
                .chars()
                .all(|c| ('!'..='~').contains(&c) && c != '.');
        let is_time = self.timestamp.chars().all(|c| c.is_ascii_digit());
        let at = self.timestamp.parse::<i64>().ok().filter(|_| is_time);
        let entries: Vec<&str> = self.signatures.split(' ').collect();
        let proof = self.proof();
        let proof = proof.as_deref().unwrap_or("there is none");
        // The oldest family's has no version.
        let is_proven = entries.contains(&proof) || self.signatures == bare(proof);
        match at {
            _ if !is_id => "a bad id",
            None => "a bad timestamp",
            Some(at) if at < NOW - 300 => "old",
            Some(at) if at > NOW + 300 => "from the future",
            Some(_) if self.signatures.is_empty() || entries.len() > 32 => "a bad list",
            Some(_) if is_proven => "genuine",
            Some(_) => "forged",
        }
    }
}

/// A signature without its version.
fn bare(entry: &str) -> &str {
    entry.strip_prefix("v1,").unwrap_or(entry)
}

fn request() -> impl Strategy<Value = Request> {
    let id = prop_oneof![
        6 => "[!-~&&[^.]]{1,60}",
        1 => "[!-~]{250,260}",
        1 => any::<String>(),
    ];
    let timestamp = prop_oneof![
        8 => (-500..=500_i64).prop_map(|off| (NOW + off).to_string()),
        // Such as no provider signs.
        1 => (0..=300_i64).prop_map(|off| format!("0{}", NOW + off)),
        1 => (0..=300_i64).prop_map(|off| format!("+{}", NOW + off)),
        1 => any::<i64>().prop_map(|second| second.to_string()),
        1 => any::<String>(),
    ];
    let decoy = prop_oneof![
        "v1a?,[A-Za-z0-9+/=]{0,60}",
        "v1,[A-Za-z0-9+/]{43}=",
        any::<String>()
    ];
    let decoys = prop_oneof![
        6 => prop::collection::vec(decoy.clone(), 0..6),
        2 => Just(Vec::new()),
        2 => prop::collection::vec("v1,[A-Za-z0-9+/]{43}=", 30..36),
    ];
    let signed_for = prop_oneof![
        5 => Just(SignedFor::This),
        1 => Just(SignedFor::AnotherBody),
        1 => Just(SignedFor::AnotherId),
        1 => Just(SignedFor::AnotherTime),
        1 => Just(SignedFor::AnotherKey),
        2 => Just(SignedFor::Nothing),
    ];
    let family = prop::sample::select(&FAMILIES[..]);
    let list = (decoys, any::<Index>(), prop::bool::weighted(0.3));
    (mutant(&SAMPLES), id, timestamp, signed_for, family, list).prop_map(
        |(body, id, timestamp, signed_for, family, (mut list, place, is_bare))| {
            let mut request = Request {
                family,
                body,
                id,
                timestamp,
                signatures: String::new(),
                signed_for,
            };
            if let Some(entry) = request.entry() {
                let entry = if is_bare && list.is_empty() {
                    bare(&entry).to_owned()
                } else {
                    entry
                };
                list.insert(place.index(list.len() + 1), entry);
            }
            request.signatures = list.join(" ");
            request
        },
    )
}

fn facts(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Missing => "missing",
        Refusal::Malformed(Header::Id) => "a bad id",
        Refusal::Malformed(Header::Timestamp) => "a bad timestamp",
        Refusal::Malformed(Header::Signature) => "a bad list",
        Refusal::Stale {
            direction: Direction::Past,
            ..
        } => "old",
        Refusal::Stale {
            direction: Direction::Future,
            ..
        } => "from the future",
        Refusal::Forged => "forged",
        Refusal::OtherId => "of another event",
    }
}

fn judged(request: &Request, tally: &Tally) -> TestCaseResult {
    let started_at = Instant::now();
    let key = flex::secret::key(SECRET).unwrap();
    let [id, timestamp, signature] = request.family;
    let header = |name: &str| match name {
        _ if name == id => Some(request.id.as_str()),
        _ if name == timestamp => Some(request.timestamp.as_str()),
        _ if name == signature => Some(request.signatures.as_str()),
        _ => None,
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let verified = flex::check(header, &request.body, now)
        .and_then(|request| request.verify(std::slice::from_ref(&key)));
    if let Ok(delivery_id) = &verified {
        prop_assert_eq!(delivery_id.as_str(), &request.id);
    }
    let verdict = verified.map_or_else(facts, |_| "genuine");
    prop_assert_eq!(verdict, request.verdict());
    tally.count(verdict);
    if verdict == "forged" && request.signed_for != SignedFor::Nothing {
        tally.count("signed for something else");
    }
    if verdict == "genuine" && request.signatures.contains(' ') {
        tally.count("genuine among others");
    }
    in_time(started_at)
}

#[test]
fn no_headers_make_the_verifier_panic_and_none_but_the_signed_ones_pass() {
    let expected = [
        "genuine",
        "genuine among others",
        "forged",
        "signed for something else",
        "a bad id",
        "a bad timestamp",
        "a bad list",
        "old",
        "from the future",
    ];
    hold(1, request(), &expected, |request, tally| {
        judged(&request, tally)
    });
}

#[test]
fn no_secret_makes_a_key_panic_and_where_there_is_one_it_signs_as_the_provider_does() {
    let base64 = prop_oneof![
        "[A-Za-z0-9+/]{4}{1,16}",
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            STANDARD.encode(bytes)
        }),
        any::<String>(),
    ];
    let prefix = prop::sample::select(vec!["", "fwhsec_", "whsec_", " whsec_", "fsk_"]);
    let end = prop::sample::select(vec!["", "\n", "=", " ="]);
    let secret =
        (prefix, base64, end).prop_map(|(prefix, base64, end)| format!("{prefix}{base64}{end}"));
    hold(
        1,
        secret,
        &["a key", "no key", "signed alike"],
        |secret, tally| {
            let key = match flex::secret::key(&secret) {
                Ok(key) => key,
                Err(why) => {
                    tally.count("no key");
                    return super::is_short(&why);
                }
            };
            tally.count("a key");
            let base64 = secret.trim().rsplit('_').next().unwrap_or_default();
            // Theirs does without the padding nowhere.
            if let Ok(theirs) = Webhook::new(base64) {
                tally.count("signed alike");
                let ours = sign(&key, "msg_1", Timestamp::from_second(NOW).unwrap(), b"{}");
                prop_assert_eq!(Ok(ours), theirs.sign("msg_1", NOW, b"{}").map_err(|_| ()));
            }
            prop_assert_eq!(format!("{key:?}"), "Key(…)");
            Ok(())
        },
    );
}
