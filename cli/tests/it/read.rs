//! The other readers.

use crate::{
    desk::{Desk, FakeTerminal},
    order::rich,
};
use domain::values::note::Action;
use kit::{fakes::Hop, prelude::*};
use till::{backend::Alarm, error::Exit};

/// A stack on which something of each kind waits: a parked event, a held and a failed mail, a dead letter.
pub async fn busy() -> Desk {
    let bundle = open_shop(OnUnknown::Hold);
    let mut open = sale(&purchase(9));
    open.status = SaleStatus::Open;
    bundle.provider_has(&open);
    bundle.play(&Delivery::of(&purchase(9), "fevt_9")).await;
    for n in 1..=3 {
        bundle.sell(n).await;
    }
    bundle.drain().await;
    let id = |n: u64| ReceiptId::new(format!("{}-order", purchase(n).order_id())).unwrap();
    bundle.change_receipt(&id(1), |receipt| receipt.state = ReceiptState::Held);
    bundle.change_receipt(&id(2), |receipt| {
        receipt.state = ReceiptState::Failed {
            reason: "an earlier mail to this address bounced permanently".to_owned(),
        };
    });
    let job = json!({"version": "1", "event_id": "fevt_9"}).to_string();
    bundle
        .world
        .kept()
        .give_up(Hop::Fulfillment, job, "in vain".to_owned());
    bundle
        .world
        .kept()
        .give_up(Hop::Fulfillment, "{}".to_owned(), "not ours".to_owned());
    bundle.world.pass(Duration::from_hours(3));
    let desk = Desk::over(bundle);
    for (age, fields) in [
        (
            1320,
            json!({"function": "reconcile", "outcome": "reconciled", "missing": 2, "message": "lists read"}),
        ),
        (
            180,
            json!({"function": "intake", "outcome": "accepted", "event_type": "checkout.session.completed", "event_id": "fevt_9", "message": "delivery kept"}),
        ),
        (
            60,
            json!({"function": "sweep", "outcome": "swept", "message": "rows requeued", "more": false}),
        ),
    ] {
        desk.log(age, fields);
    }
    let alarm = |name: &str, state: &str| Alarm {
        name: name.to_owned(),
        state: state.to_owned(),
        notifies: true,
    };
    desk.services().alarms = vec![alarm("ParkedAlarm", "ALARM"), alarm("StalledAlarm", "OK")];
    desk
}

#[tokio::test]
async fn the_status_lists_what_waits_for_a_person() {
    let desk = busy().await;
    let ended = desk.till(&["status"]).await.exits(Exit::Attention);
    insta::assert_snapshot!("status_text", ended.text);
    insta::assert_snapshot!("status_json", ended.pretty());
    assert_eq!(desk.till(&["status", "--exit-zero"]).await.exit, Exit::Done);
    Desk::open().till(&["status"]).await.exits(Exit::Done);
}

#[tokio::test]
async fn the_status_says_what_it_could_not_read() {
    let desk = busy().await;
    desk.services().away.extend(["Logs", "CloudWatch"]);
    let ended = desk.till(&["status"]).await.exits(Exit::Attention);
    assert!(
        ended.text.contains("the alarms are unknown"),
        "{}",
        ended.text
    );
    assert_eq!(ended.json["warnings"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_reads_of_the_status_do_not_grow_with_the_orders() {
    let desk = busy().await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        desk.bundle.world.kept().calls.clear();
        desk.till(&["status"]).await;
        counts.push(desk.bundle.world.kept().calls.len());
        for n in 20..30 {
            desk.bundle.sell(n).await;
        }
        desk.bundle.drain().await;
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn events_are_listed_filtered_and_shown() {
    let desk = busy().await;
    let ended = desk.till(&["events"]).await;
    insta::assert_snapshot!("events_text", ended.text);
    insta::assert_snapshot!("events_json", ended.pretty());
    assert_eq!(desk.till(&["events", "--ids"]).await.text, "fevt_9\n");
    assert_eq!(
        desk.till(&["events", "--ids", "--class", "other_mode"])
            .await
            .text,
        ""
    );
    assert_eq!(desk.till(&["events", "--stuck", "--ids"]).await.text, "");
    let shown = desk.till(&["event", "show", "fevt_9"]).await;
    insta::assert_snapshot!("event_text", shown.text);
    desk.till(&["event", "show", "fevt_none"])
        .await
        .exits(Exit::NotFound);
    assert_eq!(desk.till(&["why", "fevt_none"]).await.exit, Exit::NotFound);
}

#[tokio::test]
async fn a_body_is_shown_on_request_only() {
    let desk = busy().await;
    let refused = desk.till(&["event", "body", "fevt_9"]).await;
    assert_eq!(refused.exit, Exit::Unconfirmed);
    let without_reason = desk.till(&["event", "body", "fevt_9", "--reveal"]).await;
    assert_eq!(without_reason.exit, Exit::Usage);
    assert!(desk.bundle.event("fevt_9").notes.is_empty());
    let ask = ["event", "body", "fevt_9", "--reveal", "--why", "a claim"];
    let shown = desk.till(&ask).await;
    let event = desk.bundle.event("fevt_9");
    assert_eq!(shown.text.trim().as_bytes(), event.body.trim_ascii());
    let note = event.notes.last().unwrap();
    assert_eq!((note.did, &*note.why), (Action::BodyRead, "a claim"));
    let show = desk.till(&["event", "show", "fevt_9"]).await;
    assert!(show.text.contains(" read the body of it: a claim"));
}

#[tokio::test]
async fn mails_are_listed_explained_and_previewed() {
    let desk = busy().await;
    let ended = desk.till(&["mail", "list"]).await;
    insta::assert_snapshot!("mails_text", ended.text);
    insta::assert_snapshot!("mails_json", ended.pretty());
    let id = format!("{}-order", purchase(1).order_id());
    let shown = desk.till(&["mail", "show", &id]).await;
    insta::assert_snapshot!("mail_text", shown.text);
    assert_eq!(desk.till(&["why", &id]).await.exit, Exit::Attention);
    let preview = desk.till(&["mail", "preview", &id]).await.exits(Exit::Done);
    assert!(preview.text.contains("Subject:") && !preview.text.contains("pat@example.com"));
    let revealed = desk
        .till(&["mail", "preview", &id, "--reveal", "--html"])
        .await;
    assert!(revealed.text.contains("pat@example.com") && revealed.text.contains("<html"));
    desk.till(&["mail", "list", "--status", "lost"])
        .await
        .exits(Exit::Usage);
    desk.till(&["mail", "show", "none"])
        .await
        .exits(Exit::NotFound);
}

#[tokio::test]
async fn stock_is_listed_with_its_movements_and_shortfalls() {
    let bundle = open_shop(OnUnknown::Resend);
    bundle.world.kept().counters.insert(sku("BRACE-M"), 3);
    for n in 1..=2 {
        bundle.sell(n).await;
    }
    bundle.drain().await;
    let desk = Desk::over(bundle);
    let list = desk.till(&["stock", "list"]).await;
    insta::assert_snapshot!("stock_list", list.text);
    insta::assert_snapshot!("stock_list_json", list.pretty());
    let show = desk.till(&["stock", "show", "BRACE-M"]).await;
    insta::assert_snapshot!("stock_show", show.text);
    desk.till(&["stock", "show", "NONE"])
        .await
        .exits(Exit::NotFound);
    let history = desk.till(&["stock", "history", "BRACE-M"]).await;
    insta::assert_snapshot!("stock_history", history.text);
    assert_eq!(
        desk.till(&["stock", "export"]).await.text,
        "sku,on_hand\nBRACE-M,0\nTOTE,8\n"
    );
    let below = desk.till(&["stock", "list", "--below", "1"]).await;
    assert_eq!(below.data()["counters"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn orders_are_searched_within_a_bound() {
    let desk = busy().await;
    let ended = desk.till(&["orders"]).await;
    insta::assert_snapshot!("orders_text", ended.text);
    insta::assert_snapshot!("orders_json", ended.pretty());
    let one_page = desk.till(&["orders", "--pages", "1", "--limit", "1"]).await;
    assert_eq!(one_page.json["partial"], json!(true));
    assert_eq!(
        desk.till(&["orders", "--state", "refunded"]).await.data()["orders"],
        json!([])
    );
    desk.till(&["orders", "--since", "now"])
        .await
        .exits(Exit::Usage);
}

#[tokio::test]
async fn the_log_is_read_as_sentences() {
    let desk = busy().await;
    for message in [
        "START RequestId: 1",
        "REPORT RequestId: 1",
        "2026 1 Task timed out after 3.00 seconds",
    ] {
        desk.log(90, json!({"message": message}));
    }
    let ended = desk.till(&["logs"]).await;
    insta::assert_snapshot!("logs_text", ended.text);
    let of_one = desk.till(&["logs", "fevt_9"]).await;
    assert_eq!(of_one.data()["lines"].as_array().unwrap().len(), 1);
    assert_eq!(desk.till(&["logs", "fevt_none"]).await.exit, Exit::NotFound);
    let sweep = desk.till(&["logs", "--function", "sweep"]).await;
    assert_eq!(sweep.data()["lines"].as_array().unwrap().len(), 1);
    let terminal = FakeTerminal {
        interrupt_after: 3,
        ..FakeTerminal::default()
    };
    let watched = desk.till_at(&terminal, &["watch"]).await;
    assert_eq!(watched.exit, Exit::Interrupted);
    assert_eq!(terminal.said.lock().unwrap().len(), 1, "each line once");
}

#[tokio::test]
async fn the_reports_about_money_name_their_period() {
    let desk = rich().await;
    let journal = desk.till(&["journal", "2026-03"]).await.exits(Exit::Done);
    insta::assert_snapshot!("journal_text", journal.text);
    let receivables = desk.till(&["receivables"]).await;
    insta::assert_snapshot!("receivables_text", receivables.text);
    assert_eq!(desk.till(&["journal", "march"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn whoami_names_caller_and_stack() {
    let ended = Desk::open().till(&["whoami"]).await;
    let text = ended.text.replace(env!("CARGO_PKG_VERSION"), "0.0.0");
    insta::assert_snapshot!("whoami_text", text);
}
