//! The writes: a dry run equals the run, partial failures are listed, and Ctrl-C leaves a command that continues.

use crate::{
    desk::{Desk, FakeTerminal, KEY},
    order::{refund, rich},
    read::busy,
};
use domain::sale::restock::RestockPolicy;
use kit::{
    fakes::{Fault, Hop},
    prelude::*,
};
use till::{backend::Function, error::Exit};

#[tokio::test]
async fn a_release_decides_again_and_a_dry_run_changes_nothing() {
    let desk = busy().await;
    desk.bundle.provider_has(&sale(&purchase(9)));
    let dry = desk
        .till(&["event", "release", "fevt_9", "fevt_1", "--dry-run"])
        .await;
    assert_eq!(desk.bundle.state("fevt_9"), Parked);
    insta::assert_snapshot!("release_dry", dry.text);
    let ended = desk
        .confirmed(&["event", "release", "fevt_9", "fevt_1"])
        .await;
    assert_eq!(ended.exit, Exit::Failed, "one is not parked");
    insta::assert_snapshot!("release_json", ended.pretty());
    desk.bundle.drain().await;
    assert_eq!(desk.bundle.state("fevt_9"), Processed);
    desk.confirmed(&["event", "release", "fevt_none"])
        .await
        .exits(Exit::NotFound);
}

#[tokio::test]
async fn ids_come_by_stdin_and_a_failure_does_not_stop_the_rest() {
    let desk = busy().await;
    let terminal = FakeTerminal::piping("fevt_1\nfevt_2 fevt_2\n");
    // The reads of the plan go through; the first write fails.
    desk.bundle.strike_next(3, Fault::FailBefore);
    let args = ["event", "replay", "-", "--yes", "--why", "check"];
    let ended = desk.till_at(&terminal, &args).await.exits(Exit::Failed);
    let events = ended.data()["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "no id twice");
    assert_eq!(
        events
            .iter()
            .filter(|event| event["done"] == json!(true))
            .count(),
        1
    );
}

#[tokio::test]
async fn ctrl_c_during_a_replay_of_a_thousand_leaves_the_command_that_continues() {
    let desk = Desk::open();
    for name in ["BRACE-M", "TOTE"] {
        desk.bundle.world.kept().counters.insert(sku(name), 100_000);
    }
    for n in 1..=1000 {
        desk.bundle.sell(n).await;
    }
    desk.bundle.drain().await;
    desk.bundle.world.pass(Duration::from_mins(1));
    let end = desk.bundle.end();
    let base = [
        "replay",
        "--since",
        "2025-01-01",
        "--limit",
        "2000",
        "--pace",
        "1000000",
    ];
    let yes = ["--yes", "--stack", "flex-live", "--why", "restore"];
    // 1,000 looks of the plan, then 300 events of the run.
    let terminal = FakeTerminal {
        interrupt_after: 1300,
        ..FakeTerminal::default()
    };
    let stopped = desk.till_at(&terminal, &[&base[..], &yes].concat()).await;
    assert_eq!(stopped.exit, Exit::Interrupted, "{}", stopped.text);
    let first = stopped.data()["replayed"].as_u64().unwrap();
    assert!((200..500).contains(&first), "{first}");
    let cursor = stopped.data()["cursor"].as_str().unwrap().to_owned();
    let command = stopped.data()["commands"][0].as_str().unwrap();
    assert!(command.contains(&format!("--after {cursor}")) && stopped.text.contains(command));
    let rest = desk
        .till(&[&base[..], &["--after", &cursor], &yes].concat())
        .await;
    assert_eq!(rest.exit, Exit::Done, "{}", rest.text);
    assert_eq!(rest.data()["replayed"].as_u64().unwrap() + first, 1000);
    desk.bundle.drain().await;
    assert_eq!(desk.bundle.end(), end, "a replay repeats no effect");
}

#[tokio::test]
async fn a_dry_replay_prints_the_command_with_resolved_times() {
    let desk = busy().await;
    let ended = desk
        .till(&["replay", "--since", "2025-10-10", "--dry-run"])
        .await;
    assert_eq!(ended.exit, Exit::Done);
    insta::assert_snapshot!("replay_dry", ended.text);
    insta::assert_snapshot!("replay_json", ended.pretty());
    assert_eq!(desk.till(&["replay", "--dry-run"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn dead_letters_are_looked_at_and_then_moved() {
    let desk = busy().await;
    let dry = desk.till(&["redrive", "fulfillment", "--dry-run"]).await;
    insta::assert_snapshot!("redrive_dry", dry.text);
    let ended = desk
        .confirmed(&["redrive", "fulfillment", "--pace", "100000"])
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert_eq!(
        (&ended.data()["moved"], &ended.data()["not_ours"]),
        (&json!(1), &json!(1))
    );
    let report =
        json!({"eventType": "Delivery", "mail": {"tags": {"receipt_id": ["fcs_1-order"]}}});
    desk.bundle
        .world
        .kept()
        .give_up(Hop::Feedback, report.to_string(), "in vain".to_owned());
    let ended = desk
        .confirmed(&["redrive", "feedback", "--only", "fcs_1-order"])
        .await;
    assert_eq!(ended.data()["moved"], json!(1), "{}", ended.text);
    assert_eq!(desk.services().posted.len(), 1);
}

#[tokio::test]
async fn a_bounced_notice_is_corrected_cleared_and_sent_again() {
    let desk = rich().await;
    let typed = FakeTerminal::piping("new@example.org");
    let flags = ["--yes", "--why", "the customer called"];
    let correct = [&["mail", "correct-address", "order-1"], &flags[..]].concat();
    let ended = desk.till_at(&typed, &correct).await.exits(Exit::Done);
    assert_eq!(
        desk.bundle.order(1).customer.email.as_deref(),
        Some("new@example.org")
    );
    assert!(!ended.text.contains("new@example.org"), "{}", ended.text);
    let bad = FakeTerminal::piping("no address");
    let refused = desk.till_at(&bad, &correct).await.exits(Exit::Usage);
    assert!(!refused.text.contains("no address"));
    let old = FakeTerminal::piping(&desk.bundle.mailed_to(0));
    let clear = [&["mail", "clear-address", "--ses"], &flags[..]].concat();
    desk.till_at(&old, &clear).await.exits(Exit::Done);
    assert_eq!(desk.services().unsuppressed.len(), 1);
    let resend = ["mail", "resend", "fre_1-refund"];
    let dry = desk.till(&[&resend[..], &["--dry-run"]].concat()).await;
    assert_eq!(dry.exit, Exit::Done);
    desk.bundle.world.pass(Duration::from_mins(1));
    desk.confirmed(&[&resend[..], &["--version", &desk.version("fre_1-refund")]].concat())
        .await
        .exits(Exit::Done);
    desk.bundle.drain().await;
    assert_eq!(desk.bundle.mails(), 3);
    for why in ["first try", "second try"] {
        let version = desk.version("fre_1-refund");
        let resend = ["mail", "resend", "fre_1-refund", "--version", &version];
        let resend = [&resend[..], &["--yes", "--by", "ana", "--why", why]].concat();
        assert_eq!(desk.till(&resend).await.exit, Exit::Done);
        desk.bundle.drain().await;
    }
    let shown = desk.till(&["order", "order-1"]).await.text;
    let mail = desk.till(&["mail", "show", "fre_1-refund"]).await.text;
    assert!(shown.contains("corrected the address of the order: the customer called"));
    for (text, why) in [
        (&shown, "first"),
        (&shown, "second"),
        (&mail, "first"),
        (&mail, "second"),
    ] {
        let entry = format!("had the refund notice sent again: {why} try");
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(one_line.contains(&format!("ana {entry}")), "{text}");
    }
}

#[tokio::test]
async fn a_held_mail_is_closed() {
    let desk = busy().await;
    let id = format!("{}-order", purchase(1).order_id());
    let close = ["mail", "close", &id, "--version", &desk.version(&id)];
    desk.till(&[&close[..], &["--dry-run"]].concat())
        .await
        .exits(Exit::Done);
    desk.confirmed(&close).await.exits(Exit::Done);
    assert_matches!(
        desk.bundle
            .receipt(&ReceiptId::new(id.clone()).unwrap())
            .state,
        ReceiptState::Withdrawn { .. }
    );
    assert_eq!(desk.confirmed(&close).await.exit, Exit::Failed);
}

/// A file of counts, removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn of(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("till-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_count_loses_what_was_sold_since_and_bad_rows_stop_it() {
    let desk = Desk::open();
    let counted_at = desk.bundle.world.now().to_string();
    desk.bundle.world.pass(Duration::from_mins(5));
    desk.bundle.sell(1).await;
    desk.bundle.drain().await;
    let file = File::of(
        "bad.csv",
        "\u{feff}Art;Qty\nBRACE-M;14\nTOTE ;3\nGEL;40\nTAPE;1.5\nGEL;1\n",
    );
    let args = [
        "stock",
        "import",
        file.path(),
        "--counted-at",
        &counted_at,
        "--columns",
        "sku=Art,on_hand=Qty",
    ];
    let stopped = desk.till(&[&args[..], &["--dry-run"]].concat()).await;
    assert_eq!(stopped.exit, Exit::Usage);
    insta::assert_snapshot!("import_plan", stopped.text.replace(&counted_at, "TIME"));
    assert_eq!(desk.bundle.on_hand("BRACE-M"), ON_HAND - 2);
    let ended = desk.confirmed(&[&args[..], &["--skip-bad"]].concat()).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    insta::assert_snapshot!("import_done", ended.text);
    assert_eq!(
        (desk.bundle.on_hand("BRACE-M"), desk.bundle.on_hand("GEL")),
        (12, 40)
    );
    let again = desk.confirmed(&[&args[..], &["--skip-bad"]].concat()).await;
    assert!(again.text.contains("Nothing changed"), "{}", again.text);
}

#[tokio::test]
async fn what_is_exported_is_imported_without_a_change() {
    let desk = Desk::open();
    let exported = desk.till(&["stock", "export"]).await;
    let terminal = FakeTerminal::piping(&exported.text);
    let ended = desk
        .till_at(&terminal, &["stock", "import", "-", "--dry-run"])
        .await;
    assert_eq!(ended.exit, Exit::Done);
    assert_eq!(ended.text.matches("no change").count(), 2, "{}", ended.text);
}

#[tokio::test]
async fn a_sale_during_an_arrival_is_not_lost() {
    let desk = Desk::open();
    let ended = desk.confirmed(&["stock", "receive", "BRACE-M", "5"]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert_eq!(desk.bundle.on_hand("BRACE-M"), ON_HAND + 5);
    let ended = desk.confirmed(&["stock", "receive", "BRACE-M", "-5"]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    let ended = desk.confirmed(&["stock", "count", "BRACE-M", "7"]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert_eq!(desk.bundle.on_hand("BRACE-M"), 7);
    let changes = desk.bundle.world.kept().counter_changes.len();
    assert_eq!(changes, 3, "the clock of the desk stands still");
    desk.bundle.world.pass(Duration::from_secs(1));
    // The answer of the write is lost: the counter has the new value, and the next plan finds it.
    desk.bundle.world.kept().calls.clear();
    desk.till(&["stock", "count", "BRACE-M", "9", "--dry-run"])
        .await;
    let reads = desk.bundle.world.kept().calls.len();
    desk.bundle.strike_next(reads, Fault::Twice);
    let unclear = desk.confirmed(&["stock", "count", "BRACE-M", "9"]).await;
    assert_eq!(unclear.exit, Exit::Failed, "{}", unclear.text);
    assert!(
        unclear.text.contains("unclear: it is 9 now"),
        "{}",
        unclear.text
    );
    let next = desk.confirmed(&["stock", "count", "BRACE-M", "9"]).await;
    assert_eq!(next.exit, Exit::Done, "{}", next.text);
    assert_eq!(desk.bundle.on_hand("BRACE-M"), 9);
}

#[tokio::test]
async fn a_history_has_sales_restocks_and_counts_in_one_timeline_and_undoes_the_last_count() {
    let mut bundle = open_shop(OnUnknown::Resend);
    bundle.fulfillment.policy.restock = RestockPolicy::Any;
    let desk = Desk::over(bundle);
    let done = async |args: &[&str]| {
        desk.bundle.world.pass(Duration::from_mins(10));
        desk.confirmed(args).await.exits(Exit::Done)
    };
    done(&["stock", "receive", "TOTE", "5"]).await;
    desk.bundle.world.pass(Duration::from_mins(10));
    desk.bundle.sell(1).await;
    desk.bundle.drain().await;
    desk.bundle.world.pass(Duration::from_mins(10));
    let counted_at = desk.bundle.world.now().to_string();
    desk.bundle.world.pass(Duration::from_mins(10));
    desk.bundle.play(&refund("fevt_2")).await;
    desk.bundle.drain().await;
    let before = desk.bundle.on_hand("TOTE");
    let count = ["stock", "count", "TOTE", "40", "--counted-at", &counted_at];
    let counted = done(&count).await;
    insta::assert_snapshot!("count_after_restock", counted.text);
    assert_eq!(desk.bundle.on_hand("TOTE"), 41, "one came back since");
    let history = desk.till(&["stock", "history", "TOTE"]).await;
    insta::assert_snapshot!("history", history.text);
    insta::assert_snapshot!("history_json", history.pretty());
    // The printed command restores the counter before the count, also after a sale.
    let undo = history.data()["undo"].as_str().unwrap();
    let words: Vec<&str> = undo.split(' ').skip(1).take(4).collect();
    done(&words).await;
    assert_eq!(desk.bundle.on_hand("TOTE"), before);
}

#[tokio::test]
async fn a_mapping_is_written() {
    let desk = Desk::open();
    let dry = desk
        .till(&["stock", "map", "fprod_1", "GEL", "--dry-run"])
        .await;
    assert!(dry.text.contains("Nothing changed"));
    assert!(desk.bundle.world.kept().mapping.is_empty());
    for args in [
        vec!["stock", "map", "fprod_1", "GEL"],
        vec!["stock", "map", "price#pr_1", "--untracked"],
        vec![
            "stock",
            "map",
            "product#x",
            "--grants",
            "gym",
            "--days",
            "30",
        ],
    ] {
        assert_eq!(desk.confirmed(&args).await.exit, Exit::Done, "{args:?}");
    }
    assert_eq!(desk.bundle.world.kept().mapping.len(), 3);
    desk.confirmed(&["stock", "map", "GEL", "X"])
        .await
        .exits(Exit::Usage);
}

#[tokio::test]
async fn a_function_is_run_paused_and_resumed() {
    let desk = Desk::open();
    let fields = json!({"function": "sweep", "outcome": "swept", "stored": 2, "more": false});
    desk.log(0, fields);
    let swept = desk.confirmed(&["sweep"]).await;
    assert!(
        swept.text.contains("sweep has run: stored=2"),
        "{}",
        swept.text
    );
    let reconciled = desk.confirmed(&["reconcile"]).await;
    assert!(
        reconciled.text.contains("does not show its line yet"),
        "{}",
        reconciled.text
    );
    assert_eq!(
        desk.services().invoked,
        [Function::Sweep, Function::Reconcile]
    );
    desk.till(&["pause", "fulfillment", "--why", "Flex is away"])
        .await
        .exits(Exit::Unconfirmed);
    let paused = desk.confirmed(&["pause", "fulfillment"]).await;
    insta::assert_snapshot!("pause_text", paused.text);
    assert!(desk.services().paused.contains(&Function::Fulfillment));
    let again = desk.till(&["pause", "fulfillment"]).await;
    assert!(again.text.contains("paused already"), "{}", again.text);
    desk.confirmed(&["resume", "fulfillment"])
        .await
        .exits(Exit::Done);
    assert!(desk.services().paused.is_empty());
}

const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test]
async fn secrets_are_replaced_and_rotated_and_never_shown() {
    let mut desk = Desk::open();
    desk.set("Provider", "flex");
    let flags = ["--yes", "--stack", "flex-live", "--why", "yearly"];
    let status = desk.till(&["secrets", "status"]).await.exits(Exit::Done);
    insta::assert_snapshot!("secrets_status", status.text);
    let rotate = [&["secrets", "rotate"], &flags[..]].concat();
    desk.till_at(&FakeTerminal::piping(NEW), &rotate)
        .await
        .exits(Exit::Done);
    let both = desk.services().secrets["FlexWebhookSecrets"].text.clone();
    assert_eq!(both.matches("whsec_").count(), 2);
    desk.till_at(&FakeTerminal::piping(NEW), &rotate)
        .await
        .exits(Exit::Usage);
    let finish = [&["secrets", "rotate", "--finish"], &flags[..]].concat();
    let signed_by = |key: u64, provider: &str, id: &str| {
        let fields = json!({
            "function": "intake", "outcome": "accepted", "key": key, "provider": provider, "event_id": id,
        });
        desk.services().log.clear();
        desk.log(0, fields);
    };
    // No evidence: no delivery, one by the old secret, one of the other provider, and one of till itself.
    desk.till(&finish).await.exits(Exit::Failed);
    for (key, provider, id) in [
        (0, "flex", "fevt_1"),
        (1, "flint", "whev_1"),
        (1, "flex", "fevt_tilltest1"),
    ] {
        signed_by(key, provider, id);
        let early = desk.till(&finish).await;
        assert_eq!(early.exit, Exit::Failed, "{id}: {}", early.text);
    }
    signed_by(1, "flex", "fevt_1");
    desk.till(&finish).await.exits(Exit::Done);
    assert_eq!(
        desk.services().secrets["FlexWebhookSecrets"].text,
        json!({"webhook_secrets": [NEW]}).to_string()
    );
    let put = [&["secrets", "put", "api-key"], &flags[..]].concat();
    desk.till_at(&FakeTerminal::piping("fsk_test_1"), &put)
        .await
        .exits(Exit::Usage);
    desk.services().rival = true;
    let lost = desk.till_at(&FakeTerminal::piping("fsk_new"), &put).await;
    assert_eq!(lost.exit, Exit::Failed, "{}", lost.text);
    assert!(desk.services().secrets["FlexApiKey"].text.contains(KEY));
    desk.till_at(&FakeTerminal::piping("fsk_new"), &put)
        .await
        .exits(Exit::Done);
}

#[tokio::test]
async fn a_customer_is_counted_exported_and_erased() {
    let desk = rich().await;
    let customer = desk.customer();
    let counts = desk.till(&["customer", "export", &customer]).await;
    assert!(!counts.text.contains("pat@example.com"));
    let export = desk
        .till(&["customer", "export", &customer, "--reveal"])
        .await;
    assert!(export.text.contains("pat@example.com"));
    let dry = desk
        .till(&["customer", "erase", &customer, "--dry-run"])
        .await;
    insta::assert_snapshot!("erase_dry", dry.text);
    desk.till(&["customer", "erase", &customer, "--why", "asked"])
        .await
        .exits(Exit::Unconfirmed);
    let ended = desk.confirmed(&["customer", "erase", &customer]).await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.text);
    assert!(desk.bundle.order(1).is_erased);
    let order = desk.till(&["order", "order-1", "--reveal"]).await;
    assert!(order.text.contains("Customer erased") && !order.text.contains("pat@example.com"));
}
