//! Samples: every type of both providers, wrapped, signed and sent.

use crate::desk::{Desk, FakeTerminal};
use kit::prelude::*;
use std::fs;
use till::{error::Exit, samples};

#[test]
fn the_list_of_samples_is_the_folder() {
    for provider in ["flex", "flint"] {
        let folder = format!("{}/../events/{provider}", env!("CARGO_MANIFEST_DIR"));
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .filter(|name| name != "stand-in")
            .collect();
        names.sort();
        let listed: Vec<&str> = samples::of(provider)
            .unwrap()
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(listed, names);
    }
}

#[test]
fn every_known_type_has_a_sample() {
    for provider in ["flex", "flint"] {
        for (name, _) in samples::types(provider).unwrap() {
            samples::sample(provider, name)
                .unwrap_or_else(|error| panic!("{provider} {name}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_sample_is_changed_only_where_it_has_a_member() {
    let desk = Desk::open();
    let new = ["event", "new", "refund.created"];
    let set = [
        "--set",
        "object.refund.amount=500",
        "--id",
        "fevt_mine",
        "--at",
        "2026-03-03T09:30:00Z",
    ];
    let ended = desk.till(&[&new[..], &set].concat()).await;
    let event: Value = serde_json::from_str(&ended.text).unwrap();
    assert_eq!(event["object"]["refund"]["amount"], json!(500));
    assert_eq!(
        (&event["event_id"], &event["event_dt"]),
        (&json!("fevt_mine"), &json!(1_772_530_200))
    );
    desk.till(&[&new[..], &["--set", "object.refund.amonut=500"]].concat())
        .await
        .exits(Exit::Usage);
    let unknown = desk.till(&["event", "new", "refund.creatd"]).await;
    assert!(unknown.text.contains("refund.created"), "{}", unknown.text);
    let flint = desk
        .till(&[
            "event",
            "new",
            "refund.created",
            "--provider",
            "flint",
            "--id",
            "whev_x",
        ])
        .await;
    assert!(flint.text.contains("whev_x"));
}

#[tokio::test]
async fn a_signed_sample_verifies_and_a_changed_or_old_one_does_not() {
    let desk = Desk::open();
    let folder = std::env::temp_dir().join(format!("till-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("event.json");
    let path = file.to_str().unwrap();
    let signing = FakeTerminal::piping(kit::story::SECRET);
    for wrapping in ["api-gateway", "rest"] {
        let args = [
            "event",
            "new",
            "checkout.session.completed",
            "--as",
            wrapping,
            "--sign",
        ];
        let ended = desk.till_at(&signing, &args).await;
        fs::write(&file, &ended.text).unwrap();
        let verified = desk.till(&["event", "verify", path]).await;
        assert_eq!(verified.exit, Exit::Done, "{}", verified.text);
        fs::write(&file, ended.text.replace("6994", "6995")).unwrap();
        let changed = desk.till(&["event", "verify", path]).await;
        assert_eq!(changed.exit, Exit::Attention);
        insta::allow_duplicates! { insta::assert_snapshot!("verify_changed", changed.text); }
        fs::write(&file, &ended.text).unwrap();
    }
    desk.bundle.world.pass(Duration::from_hours(1));
    let old = desk.till(&["event", "verify", path]).await;
    insta::assert_snapshot!("verify_old", old.text);
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_message_for_fulfillment_names_the_event() {
    let ended = Desk::open()
        .till(&["event", "new", "refund.created", "--as", "sqs"])
        .await;
    let event: Value = serde_json::from_str(&ended.text).unwrap();
    let job: FulfillmentJob =
        serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert!(job.subject().starts_with("fevt_"));
    for function in [
        "fulfillment",
        "receipts",
        "feedback",
        "sweep",
        "reconcile",
        "announcements",
    ] {
        let ended = Desk::open().till(&["event", "new", function]).await;
        assert!(
            serde_json::from_str::<Value>(&ended.text).is_ok(),
            "{function}"
        );
    }
}

#[tokio::test]
async fn samples_are_sent_several_times_in_any_order_and_never_to_a_live_stack() {
    let live = Desk::open();
    live.till(&["event", "send", "refund.created"])
        .await
        .exits(Exit::Usage);
    assert!(live.services().posted.is_empty());
    let desk = Desk::open().in_test_mode();
    let args = [
        "event",
        "send",
        "refund.created",
        "refund.updated",
        "--times",
        "3",
        "--shuffle",
        "7",
        "--fresh",
    ];
    let ended = desk.till(&args).await.exits(Exit::Done);
    let sent = ended.data()["sent"].as_array().unwrap().clone();
    let ids: BTreeSet<&str> = sent
        .iter()
        .map(|one| one["event_id"].as_str().unwrap())
        .collect();
    assert_eq!((sent.len(), ids.len()), (6, 6));
    let again = desk.till(&args).await;
    let kinds = |ended: &crate::desk::Ended| -> Vec<String> {
        let sent = ended.data()["sent"].as_array().unwrap();
        sent.iter()
            .map(|one| one["event_type"].to_string())
            .collect()
    };
    assert_eq!(
        kinds(&ended),
        kinds(&again),
        "the same seed, the same order"
    );
    desk.services().answers = 400;
    desk.till(&["event", "send", "refund.created"])
        .await
        .exits(Exit::Failed);
}
