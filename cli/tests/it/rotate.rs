//! `webhooks rotate`: both secrets are accepted meanwhile, and a stopped run goes on.

use crate::desk::{Desk, Ended, FakeTerminal};
use kit::{prelude::*, story::SECRET};
use till::error::Exit;

const OLD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

const ROTATION: &str = "POST /v1/webhook-endpoints/whe_1/rotate-secret";

/// A stack of both providers, whose Flint rotates.
fn shop() -> Desk {
    let desk = Desk::open();
    desk.keep("FlintWebhookSecrets", &json!({"webhook_secrets": [OLD]}));
    let url = desk.stack.webhook_url("flint").unwrap().to_owned();
    let list = json!({"data": [
        {"id": "whe_0", "url": "https://old.example/hook"}, {"id": "whe_1", "url": url},
    ]});
    desk.answer("GET /v1/webhook-endpoints", 200, list);
    desk.answer(ROTATION, 200, json!({"id": "whe_1", "secret": NEW}));
    desk
}

fn stored(desk: &Desk, name: &str) -> Value {
    let document: Value = serde_json::from_str(&desk.services().secrets[name].text).unwrap();
    document["webhook_secrets"].clone()
}

fn delivered(desk: &Desk, event_id: &str, provider: &str, key: u64) {
    let fields = json!({
        "function": "intake", "outcome": "accepted", "provider": provider, "event_id": event_id, "key": key,
    });
    desk.log(60, fields);
}

const FLINT: [&str; 4] = ["webhooks", "rotate", "--provider", "flint"];

async fn rotated(desk: &Desk) -> Ended {
    let ended = desk.confirmed(&FLINT).await;
    assert!(
        !ended.text.contains(NEW) && !ended.text.contains(OLD),
        "{}",
        ended.text
    );
    ended
}

#[tokio::test]
async fn flint_makes_the_secret_and_a_delivery_by_it_alone_ends_the_rotation() {
    let desk = shop();
    let dry = desk.till(&[&FLINT[..], &["--dry-run"]].concat()).await;
    assert_eq!(
        (dry.exit, &dry.data()["step"]),
        (Exit::Attention, &json!("begin"))
    );
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([OLD]));
    let begun = rotated(&desk).await.exits(Exit::Attention);
    insta::assert_snapshot!("rotate_begun", begun.text);
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([OLD, NEW]));
    // Not evidence: a delivery by the old secret, one of the other provider, and one of till itself.
    for (id, provider, key) in [
        ("whev_1", "flint", 0),
        ("fevt_1", "flex", 1),
        ("whev_tilltest1", "flint", 1),
    ] {
        delivered(&desk, id, provider, key);
        let waiting = rotated(&desk).await;
        assert_eq!(
            (waiting.exit, &waiting.data()["step"]),
            (Exit::Attention, &json!("wait")),
            "{id}"
        );
        assert_eq!(
            stored(&desk, "FlintWebhookSecrets"),
            json!([OLD, NEW]),
            "{id}"
        );
    }
    insta::assert_snapshot!("rotate_waiting", rotated(&desk).await.text);
    delivered(&desk, "whev_2", "flint", 1);
    // Without a confirmation the old secret stays.
    desk.till(&[&FLINT[..], &["--why", "yearly"]].concat())
        .await
        .exits(Exit::Unconfirmed);
    rotated(&desk).await.exits(Exit::Done);
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([NEW]));
    assert_eq!(
        stored(&desk, "FlexWebhookSecrets"),
        json!([SECRET]),
        "the other provider is left alone"
    );
}

#[tokio::test]
async fn the_operator_may_end_it_but_not_before_it_began() {
    let desk = shop();
    let anyway = [&FLINT[..], &["--anyway"]].concat();
    desk.confirmed(&anyway).await;
    assert_eq!(
        stored(&desk, "FlintWebhookSecrets"),
        json!([OLD, NEW]),
        "it begins"
    );
    let over = desk.confirmed(&anyway).await;
    assert_eq!(
        (over.exit, stored(&desk, "FlintWebhookSecrets")),
        (Exit::Done, json!([NEW]))
    );
}

#[tokio::test]
async fn a_secret_that_could_not_be_stored_is_replaced_by_the_next_run() {
    let desk = shop();
    let good = desk.services().api[ROTATION].clone();
    let short = json!({"id": "whe_1", "secret": "whsec_AAEC"});
    desk.answer(ROTATION, 200, short);
    let lost = rotated(&desk).await.exits(Exit::Usage);
    assert!(lost.text.contains("Repeat this command"), "{}", lost.text);
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([OLD]));
    desk.answer(ROTATION, good.0, good.1);
    assert_eq!(rotated(&desk).await.exit, Exit::Attention);
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([OLD, NEW]));
}

#[tokio::test]
async fn an_endpoint_that_is_unknown_or_not_the_only_one_is_named() {
    let desk = shop();
    let url = desk.stack.webhook_url("flint").unwrap().to_owned();
    let list = |ids: &[&str]| {
        let all: Vec<Value> = ids.iter().map(|id| json!({"id": id, "url": url})).collect();
        desk.answer("GET /v1/webhook-endpoints", 200, json!({"data": all}));
    };
    list(&[]);
    assert_eq!(desk.confirmed(&FLINT).await.exit, Exit::NotFound);
    list(&["whe_1", "whe_2"]);
    let several = desk.confirmed(&FLINT).await;
    assert!(
        several.text.contains("--endpoint whe_1 | whe_2"),
        "{}",
        several.text
    );
    desk.confirmed(&[&FLINT[..], &["--endpoint", "../x"]].concat())
        .await
        .exits(Exit::Usage);
    desk.confirmed(&[&FLINT[..], &["--endpoint", "whe_1"]].concat())
        .await
        .exits(Exit::Attention);
    assert_eq!(stored(&desk, "FlintWebhookSecrets"), json!([OLD, NEW]));
}

#[tokio::test]
async fn at_flex_the_steps_are_printed_and_the_secret_is_pasted() {
    let desk = shop();
    let flex = ["webhooks", "rotate"];
    let steps = desk.confirmed(&flex).await.exits(Exit::Attention);
    insta::assert_snapshot!("rotate_flex", steps.text);
    assert_eq!(stored(&desk, "FlexWebhookSecrets"), json!([SECRET]));
    let typing = FakeTerminal::typing;
    desk.till_at(&typing(&["yearly", "flex-live", SECRET]), &flex)
        .await
        .exits(Exit::Usage);
    desk.till_at(&typing(&["yearly", "flex-live", NEW]), &flex)
        .await
        .exits(Exit::Attention);
    assert_eq!(stored(&desk, "FlexWebhookSecrets"), json!([SECRET, NEW]));
}
