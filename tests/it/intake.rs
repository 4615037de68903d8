//! Intake by its answers: the reply, the stored row, the queued message, and the calls.

use crate::gateway::{Post, answer};
use domain::delivery::{job::Job as _, secrets::Keys, signature::sign};
use kit::prelude::*;
use kit::{signed::signed_as, story::SECRET};
use lambda_http::{Body, Request};
use proptest::prelude::*;
use std::fmt::Write as _;

const OTHER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn shop() -> Bundle {
    open_shop(OnUnknown::Resend)
}

fn completed() -> Delivery {
    Delivery::of(&purchase(1), "fevt_1")
}

fn delivery(id: &str, body: impl Into<String>) -> Delivery {
    Delivery {
        id: id.to_owned(),
        body: body.into(),
    }
}

fn keys(secrets: &[&str]) -> Keys {
    secrets
        .iter()
        .map(|secret| flex::secret::key(secret).unwrap())
        .collect()
}

/// The completed sale's delivery, signed now.
fn good(bundle: &Bundle) -> Post {
    Post::signed(bundle, &completed())
}

fn plain(bundle: &Bundle) -> Request {
    good(bundle).to_http_api()
}

/// A signed delivery of something else.
fn signed(bundle: &Bundle, body: &str) -> Request {
    Post::signed(bundle, &delivery("msg_1", body)).to_http_api()
}

/// A delivery that was signed that many seconds from now.
fn signed_at(bundle: &Bundle, seconds: i64) -> Request {
    let then = bundle.world.now() + SignedDuration::from_secs(seconds);
    let Delivery { id, body } = completed();
    Post::with(signed_as(&id, SECRET, &body, then), body.as_bytes()).to_http_api()
}

/// Takes a delivery in beforehand, so that the next one is its duplicate.
async fn before(bundle: &Bundle, delivery: &Delivery) {
    let request = Post::signed(bundle, delivery).to_http_api();
    assert_eq!(answer(bundle, &request).await.status(), 200);
}

/// One class of answers: how its request comes about.
struct Class {
    name: &'static str,
    bundle: Bundle,
    request: Request,
}

impl Class {
    fn new(name: &'static str, request: impl FnOnce(&Bundle) -> Request) -> Self {
        let bundle = shop();
        let request = request(&bundle);
        Self {
            name,
            bundle,
            request,
        }
    }

    /// The same after another delivery.
    async fn after(
        name: &'static str,
        first: &Delivery,
        request: impl FnOnce(&Bundle) -> Request,
    ) -> Self {
        let class = Self::new(name, request);
        before(&class.bundle, first).await;
        class
    }

    /// The same with a fault at its `n`th call, where the first reads the aged keys.
    fn with(self, n: usize, fault: Fault) -> Self {
        let mut kept = self.bundle.world.kept();
        let at = kept.calls.len() + n;
        kept.faults.insert(at, fault);
        drop(kept);
        self
    }

    /// The row of the table: name, status, header, calls. The keys have aged, so that asking for them is a call.
    async fn row(&self) -> (u16, Vec<&'static str>, String) {
        self.bundle.world.kept().keys_aged = true;
        let so_far = self.bundle.world.kept().calls.len();
        let response = answer(&self.bundle, &self.request).await;
        assert!(
            matches!(response.body(), Body::Empty),
            "{}: a stranger learns nothing",
            self.name
        );
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        let calls = self.bundle.world.kept().calls[so_far..].to_vec();
        let status = response.status().as_u16();
        let line = format!(
            "{:<46} {status}  {:<32} {}",
            self.name,
            headers.join(", "),
            calls.join(" → ")
        );
        (status, calls, line.trim_end().to_owned())
    }
}

/// The signature of the completed sale's delivery, made now with this secret.
fn completed_by(bundle: &Bundle, secret: &str) -> String {
    let Delivery { id, body } = completed();
    let headers = signed_as(&id, secret, &body, bundle.world.now());
    headers.into_iter().last().unwrap().1
}

/// The text before and after another.
fn split(text: &str, at: &str) -> [String; 2] {
    let (before, after) = text.split_once(at).unwrap();
    [before, after].map(str::to_owned)
}

fn too_large(bundle: &Bundle) -> Request {
    let body = " ".repeat(bundle.intake.max_body_bytes + 1);
    signed(bundle, &body)
}

fn kept_and_unavailable() -> Vec<Class> {
    vec![
        Class::new("accepted", plain),
        Class::new("accepted, body in base64", |shop| {
            good(shop).to_http_api_in_base64()
        }),
        Class::new("accepted, by a REST API", |shop| good(shop).to_rest_api()),
        Class::new("accepted, wrapped in `event`", |shop| {
            signed(shop, &format!("{{\"event\":{}}}", completed().body))
        }),
        Class::new("accepted, with a byte order mark", |shop| {
            signed(shop, &format!("\u{feff}{}", completed().body))
        }),
        Class::new("accepted, half an emoji in a note", |shop| {
            signed(shop, &completed().body.replace("c-76", "\\ud83d"))
        }),
        Class::new("accepted, not UTF-8 in a note", |shop| {
            let [before, after] = split(&completed().body, "c-76").map(String::into_bytes);
            let body = [&before[..], b"\xff", &after].concat();
            let now = shop.world.now();
            let signature = sign(&keys(&[SECRET])[0], "msg_1", now, &body);
            let post = Post::with(signed_as("msg_1", SECRET, "", now), &body);
            post.header("svix-signature", Some(&signature))
                .to_http_api()
        }),
        Class::new("accepted, two signature headers joined", |shop| {
            let both = [OTHER_SECRET, SECRET].map(|secret| completed_by(shop, secret));
            let both = both.join(",");
            good(shop)
                .header("svix-signature", Some(&both))
                .to_http_api()
        }),
        Class::new("accepted, two signature headers by a REST API", |shop| {
            let mut post = good(shop);
            let other = completed_by(shop, OTHER_SECRET);
            post.headers.insert(0, ("svix-signature".to_owned(), other));
            post.to_rest_api()
        }),
        Class::new("accepted, 300 s late", |shop| signed_at(shop, -300)),
        Class::new("accepted, 300 s early", |shop| signed_at(shop, 300)),
        Class::new("type we do nothing with", |shop| {
            signed(
                shop,
                &json!({"event_id": "fevt_9", "event_type": "something.new"}).to_string(),
            )
        }),
        Class::new("unreadable: not JSON", |shop| signed(shop, "hello")),
        Class::new("unreadable: no event id", |shop| signed(shop, "{}")),
        Class::new("parked: no sale", |shop| {
            let event = json!({"event_id": "fevt_9", "event_type": "checkout.session.completed", "object": {}});
            signed(shop, &event.to_string())
        }),
        Class::new("events table away", plain).with(1, FailBefore),
        Class::new("events table answers too late", plain).with(1, FailAfter),
        Class::new("events table hangs", plain).with(1, StopBefore),
        Class::new("queue away", plain).with(2, FailBefore),
        Class::new("queue hangs", plain).with(2, StopBefore),
        Class::new("secrets store away", plain).with(0, FailBefore),
    ]
}

async fn repeated() -> Vec<Class> {
    let other_body = |shop: &Bundle| {
        let mut other = purchase(1);
        other.session["amount_total"] = json!(1);
        Post::signed(shop, &Delivery::of(&other, "fevt_1")).to_http_api()
    };
    let processed = Class::after("duplicate, processed", &completed(), plain).await;
    processed.bundle.provider_has(&sale(&purchase(1)));
    processed.bundle.drain().await;
    let parked = Class::after("duplicate, parked", &completed(), plain).await;
    parked.bundle.drain().await;
    vec![
        processed,
        parked,
        Class::after("duplicate, not processed yet", &completed(), plain).await,
        Class::after("unreadable, again", &delivery("msg_1", "hello"), |shop| {
            signed(shop, "hello")
        })
        .await,
        Class::after(
            "duplicate, its JSON spelled in another way",
            &completed(),
            |shop| {
                let body = completed()
                    .body
                    .replace("\":", "\" : ")
                    .replace("6994", "6994.0");
                signed(shop, &body)
            },
        )
        .await,
        Class::after("other body under the same id", &completed(), other_body).await,
    ]
}

/// Requests that no key could prove, and therefore cause no call.
fn refused_at_sight() -> Vec<Class> {
    let without =
        |name: &'static str| move |shop: &Bundle| good(shop).header(name, None).to_http_api();
    let with = |name: &'static str, value: &'static str| {
        move |shop: &Bundle| good(shop).header(name, Some(value)).to_http_api()
    };
    let as_provider = |provider| {
        move |shop: &Bundle| {
            Post {
                provider,
                ..good(shop)
            }
            .to_http_api()
        }
    };
    let by_method = |method| {
        move |shop: &Bundle| {
            Post {
                method,
                ..good(shop)
            }
            .to_http_api()
        }
    };
    vec![
        Class::new("unknown provider", as_provider("stripe")),
        Class::new("provider in capitals", as_provider("FLEX")),
        Class::new("GET", by_method("GET")),
        Class::new("PUT", by_method("PUT")),
        Class::new("no content type", without("content-type")),
        Class::new(
            "a form",
            with("content-type", "application/x-www-form-urlencoded"),
        ),
        Class::new("too large", too_large),
        Class::new("unsigned", |_| {
            Post::with(Vec::new(), completed().body.as_bytes()).to_http_api()
        }),
        Class::new("without an id", without("svix-id")),
        Class::new("without a timestamp", without("svix-timestamp")),
        Class::new("without a signature", without("svix-signature")),
        Class::new("timestamp not a number", with("svix-timestamp", "now")),
        Class::new(
            "timestamp with a sign",
            with("svix-timestamp", "+1760090010"),
        ),
        Class::new("id with a dot", with("svix-id", "msg.1")),
        Class::new("empty signature", with("svix-signature", "")),
        Class::new("301 s late", |shop| signed_at(shop, -301)),
        Class::new("301 s early", |shop| signed_at(shop, 301)),
        Class::new(
            "signature of another scheme",
            with("svix-signature", "v2,AAAA"),
        ),
        Class::new("signature too short", with("svix-signature", "v1,AAAA")),
    ]
}

/// Requests that look signed. A newer key might prove them.
fn forged() -> Vec<Class> {
    let unproven = "v1,R3PTzyfHASBKHH98a7yexTwaJ4yNIcGhFQc1yuN+BPU=";
    vec![
        Class::new("forged", |shop| {
            let Delivery { id, body } = completed();
            let headers = signed_as(&id, OTHER_SECRET, &body, shop.world.now());
            Post::with(headers, body.as_bytes()).to_http_api()
        }),
        Class::new("body changed on the way", |shop| {
            Post {
                body: completed().body.replace("6994", "0001").into_bytes(),
                ..good(shop)
            }
            .to_http_api()
        }),
        Class::new("forged, secrets store away", |shop| {
            good(shop)
                .header("svix-signature", Some(unproven))
                .to_http_api()
        })
        .with(0, FailBefore),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_class_of_request_has_its_answer_and_its_calls() {
    let mut table = String::new();
    for class in kept_and_unavailable()
        .into_iter()
        .chain(repeated().await)
        .chain(refused_at_sight())
        .chain(forged())
    {
        writeln!(table, "{}", class.row().await.2).unwrap();
    }
    insta::assert_snapshot!("answers", table);
}

#[tokio::test]
async fn an_unsigned_or_stale_request_causes_no_call_and_a_forged_one_a_look_for_newer_keys() {
    let at_sight = refused_at_sight().into_iter().map(|class| (class, &[][..]));
    let forged = forged()
        .into_iter()
        .map(|class| (class, &["keys.read"][..]));
    for (class, expected) in at_sight.chain(forged) {
        let (status, calls, line) = class.row().await;
        assert!((400..500).contains(&status), "{line}");
        assert_eq!(calls, expected, "{line}");
        let kept = class.bundle.world.kept();
        assert!(
            kept.events.is_empty() && kept.fulfillment_queue.is_empty(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn header_names_count_in_any_case() {
    let bundle = shop();
    let mut post = good(&bundle);
    for (name, _) in &mut post.headers {
        *name = name
            .replace("svix-", "Svix-")
            .replace("content-type", "CONTENT-Type");
    }
    assert_eq!(answer(&bundle, &post.to_http_api()).await.status(), 200);
    assert_eq!(answer(&bundle, &post.to_rest_api()).await.status(), 200);
}

#[tokio::test]
async fn a_content_type_may_have_parameters() {
    let bundle = shop();
    let post = good(&bundle).header("content-type", Some("Application/JSON; charset=utf-8"));
    assert_eq!(answer(&bundle, &post.to_http_api()).await.status(), 200);
}

#[tokio::test]
async fn the_largest_body_allowed_is_taken() {
    let bundle = shop();
    let mut body = json!({"event_id": "fevt_9", "event_type": "something.new"}).to_string();
    body.push_str(&" ".repeat(bundle.intake.max_body_bytes - body.len()));
    assert_eq!(answer(&bundle, &signed(&bundle, &body)).await.status(), 200);
    assert_eq!(
        answer(&bundle, &signed(&bundle, &(body + " ")))
            .await
            .status(),
        413
    );
}

#[tokio::test]
async fn what_is_stored_is_what_was_signed() {
    let bundle = shop();
    assert_eq!(
        answer(&bundle, &good(&bundle).to_http_api_in_base64())
            .await
            .status(),
        200
    );
    let kept = bundle.world.kept();
    let event = &kept.events[&event_id("fevt_1")];
    assert_eq!(event.body, completed().body.as_bytes());
    assert_eq!(event.delivery_id.as_str(), "msg_fevt_1");
    assert_eq!(event.state, Stored);
    assert_eq!(event.received_at.as_second(), BEGIN);
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_queued_by_the_next_delivery() {
    let bundle = shop();
    bundle.strike(1, FailBefore);
    assert_eq!(answer(&bundle, &plain(&bundle)).await.status(), 503);
    assert!(bundle.world.kept().fulfillment_queue.is_empty());
    assert_eq!(bundle.world.kept().events.len(), 1);
    assert_eq!(answer(&bundle, &plain(&bundle)).await.status(), 200);
    assert_eq!(bundle.world.kept().fulfillment_queue.len(), 1);
}

#[tokio::test]
async fn another_body_under_the_same_id_is_set_aside_once_and_the_first_stays_as_it_was() {
    let bundle = shop();
    before(&bundle, &completed()).await;
    let first = bundle.world.kept().events[&event_id("fevt_1")].clone();
    let mut other = purchase(1);
    other.session["amount_total"] = json!(1);
    let other = Delivery::of(&other, "fevt_1");
    before(&bundle, &other).await;
    before(&bundle, &other).await;
    let kept = bundle.world.kept();
    assert_eq!(kept.events[&first.event_id], first);
    // The first is not done, and its intake may have stopped before the queue had it.
    let queued: Vec<_> = kept
        .fulfillment_queue
        .iter()
        .map(|message| message.job.subject())
        .collect();
    assert_eq!(queued, ["fevt_1"; 3]);
    let beside: Vec<_> = kept
        .events
        .values()
        .filter(|event| **event != first)
        .collect();
    assert_eq!(beside.len(), 1);
    assert_eq!(beside[0].state, Parked);
    assert_eq!(beside[0].body, other.body.as_bytes());
    assert_eq!(
        beside[0].reason.as_deref(),
        Some("another body came under the id fevt_1 of an earlier event")
    );
}

#[tokio::test]
async fn what_can_never_be_understood_is_stored_once_and_never_queued() {
    let bundle = shop();
    for _ in 0..2 {
        let response = answer(&bundle, &signed(&bundle, "hello")).await;
        assert_eq!(response.headers()["webhook-delivery"], "abort-message");
    }
    let kept = bundle.world.kept();
    let states: Vec<_> = kept
        .events
        .values()
        .map(|event| (event.state, event.body.as_slice()))
        .collect();
    assert_eq!(states, [(Unreadable, &b"hello"[..])]);
    assert!(kept.fulfillment_queue.is_empty());
}

#[tokio::test]
async fn only_what_can_never_be_understood_stops_the_senders_resends() {
    for class in kept_and_unavailable()
        .into_iter()
        .chain(refused_at_sight())
        .chain(forged())
    {
        if class.name.starts_with("unreadable") || class.name.contains("hangs") {
            continue;
        }
        let response = answer(&class.bundle, &class.request).await;
        assert!(
            !response.headers().contains_key("webhook-delivery"),
            "{}",
            class.name
        );
    }
}

/// The status for a delivery signed with this secret.
async fn status_for(bundle: &Bundle, secret: &str) -> u16 {
    let Delivery { id, body } = completed();
    let headers = signed_as(&id, secret, &body, bundle.world.now());
    answer(bundle, &Post::with(headers, body.as_bytes()).to_http_api())
        .await
        .status()
        .as_u16()
}

#[tokio::test]
async fn a_secret_is_rotated_without_losing_a_delivery() {
    let bundle = shop();
    let phases: [(&[&str], _); 3] = [
        (&[SECRET], [200, 401]),
        (&[SECRET, OTHER_SECRET], [200, 200]),
        (&[OTHER_SECRET], [401, 200]),
    ];
    for (secrets, statuses) in phases {
        bundle.world.kept().keys = keys(secrets);
        let facts = [
            status_for(&bundle, SECRET).await,
            status_for(&bundle, OTHER_SECRET).await,
        ];
        assert_eq!(facts, statuses);
    }
}

#[tokio::test]
async fn a_signature_by_either_secret_in_one_list_will_do() {
    let bundle = shop();
    let Delivery { id, body } = completed();
    let signature = |secret| {
        signed_as(&id, secret, &body, bundle.world.now())[2]
            .1
            .clone()
    };
    let both = format!("{} {}", signature(OTHER_SECRET), signature(SECRET));
    let post = good(&bundle).header("svix-signature", Some(&both));
    assert_eq!(answer(&bundle, &post.to_http_api()).await.status(), 200);
}

#[tokio::test]
async fn a_secret_that_is_newer_than_ours_is_found_by_one_reading() {
    let bundle = shop();
    bundle.world.kept().newer_keys = Some(keys(&[SECRET, OTHER_SECRET]));
    assert_eq!(status_for(&bundle, OTHER_SECRET).await, 200);
    assert_eq!(
        bundle.world.kept().calls,
        ["keys.reread", "events.record", "fulfillment_queue.send"]
    );
    // From now on it is known.
    bundle.world.kept().calls.clear();
    assert_eq!(status_for(&bundle, OTHER_SECRET).await, 200);
    assert_eq!(
        bundle.world.kept().calls,
        ["events.record", "fulfillment_queue.send"]
    );
}

#[tokio::test]
async fn a_reading_that_finds_no_fitting_key_leaves_a_forgery_refused() {
    let bundle = shop();
    bundle.world.kept().newer_keys = Some(keys(&[SECRET]));
    assert_eq!(status_for(&bundle, OTHER_SECRET).await, 401);
    // The port does not read the store again for a minute. Every further forgery ends here.
    for _ in 0..10 {
        assert_eq!(status_for(&bundle, OTHER_SECRET).await, 401);
    }
    assert!(bundle.world.kept().events.is_empty());
    assert!(
        bundle
            .world
            .kept()
            .calls
            .iter()
            .all(|call| *call == "keys.reread")
    );
}

#[tokio::test]
async fn without_any_key_nothing_is_taken() {
    let bundle = shop();
    bundle.world.kept().keys.clear();
    assert_eq!(status_for(&bundle, SECRET).await, 401);
}

/// Answers on a new runtime.
fn answered(bundle: &Bundle, request: &Request) -> lambda_http::Response<Body> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(answer(bundle, request))
}

fn is_refused(bundle: &Bundle, request: &Request) -> Result<(), TestCaseError> {
    bundle.world.kept().keys_aged = true;
    let response = answered(bundle, request);
    prop_assert!(response.status().is_client_error(), "{}", response.status());
    prop_assert!(matches!(response.body(), Body::Empty));
    let kept = bundle.world.kept();
    prop_assert!(kept.events.is_empty() && kept.fulfillment_queue.is_empty());
    prop_assert!(
        kept.calls
            .iter()
            .all(|call| ["keys.read", "keys.reread"].contains(call))
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_stranger_sends_nothing_is_taken(
        headers in prop::collection::vec(("(svix|webhook|flex)-(id|event-id|timestamp|signature)", "[ -~]{0,80}"), 0..8),
        key in prop::collection::vec(any::<u8>(), 24..40),
        body in prop::collection::vec(any::<u8>(), 0..300),
        signs in any::<bool>(),
    ) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let bundle = shop();
        let now = bundle.world.now();
        let key = domain::delivery::signature::Key::from_base64(&STANDARD.encode(key)).unwrap();
        let mut post = Post::with(Vec::new(), &body);
        for (name, value) in headers {
            post = post.header(&name, Some(value.trim()));
        }
        if signs {
            // The strongest stranger: everything is right but the key.
            let signature = domain::delivery::signature::sign(&key, "msg_1", now, &body);
            post = post
                .header("svix-id", Some("msg_1"))
                .header("svix-timestamp", Some(&now.as_second().to_string()))
                .header("svix-signature", Some(&signature));
        }
        is_refused(&bundle, &post.to_http_api())?;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_becomes_an_answer_before_the_function_is_killed() {
    let bundle = shop();
    bundle.strike(0, StopBefore);
    let started_at = tokio::time::Instant::now();
    let response = answer(&bundle, &plain(&bundle)).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "30");
    assert_eq!(started_at.elapsed(), Duration::from_secs(8));
}
