//! Confirmations, with and without a terminal; two operators at once.

use crate::{desk::FakeTerminal, read::busy};
use kit::prelude::*;
use till::error::Exit;

const DROP: [&str; 5] = ["event", "drop", "fevt_9", "--why", "a double"];

#[tokio::test]
async fn without_a_terminal_nothing_happens_and_the_error_names_the_flags() {
    let desk = busy().await;
    let ended = desk.till(&DROP).await.exits(Exit::Unconfirmed);
    assert!(
        ended.text.contains("Add --yes --stack flex-live"),
        "{}",
        ended.text
    );
    assert_eq!(desk.bundle.state("fevt_9"), Parked);
    // On a live stack a plain yes is not enough.
    let yes = desk.till(&[&DROP[..], &["--yes"]].concat()).await;
    assert_eq!(yes.exit, Exit::Unconfirmed);
    assert!(yes.text.contains("--stack flex-live"), "{}", yes.text);
    desk.till(&[&DROP[..], &["--yes", "--stack", "flex-test"]].concat())
        .await
        .exits(Exit::Unconfirmed);
    desk.till(&[&DROP[..], &["--yes", "--stack", "flex-live"]].concat())
        .await
        .exits(Exit::Done);
    assert_eq!(desk.bundle.state("fevt_9"), EventState::Dropped);
}

#[tokio::test]
async fn at_a_terminal_the_plan_is_shown_and_the_name_is_typed() {
    let desk = busy().await;
    let no = FakeTerminal::typing(&["yes"]);
    assert_eq!(desk.till_at(&no, &DROP).await.exit, Exit::Unconfirmed);
    assert_eq!(desk.bundle.state("fevt_9"), Parked);
    let said = no.said.lock().unwrap().join("\n");
    assert!(
        said.contains("Would drop 1 event") && said.contains("By ana: a double"),
        "{said}"
    );
    let typed = FakeTerminal::typing(&["flex-live"]);
    assert_eq!(desk.till_at(&typed, &DROP).await.exit, Exit::Done);
    assert_eq!(desk.bundle.state("fevt_9"), EventState::Dropped);
    let note = desk.bundle.event("fevt_9").notes;
    let note = note.last().unwrap().to_string();
    assert!(note.ends_with("ana dropped it: a double"), "{note}");
}

#[tokio::test]
async fn a_test_stack_asks_for_less() {
    let desk = busy().await.in_test_mode();
    let release = [
        "event",
        "release",
        "fevt_9",
        "--why",
        "the sale is complete",
    ];
    let ended = desk.till(&release).await;
    assert_eq!(ended.exit, Exit::Done, "harmless: {}", ended.text);
    let mail = format!("{}-order", purchase(1).order_id());
    let resend = ["mail", "resend", &mail, "--why", "it never came"];
    assert_eq!(
        desk.till(&resend).await.exit,
        Exit::Unconfirmed,
        "the customer notices it"
    );
    desk.till_at(&FakeTerminal::typing(&["y"]), &resend)
        .await
        .exits(Exit::Done);
}

#[tokio::test]
async fn a_write_needs_a_reason_without_personal_data() {
    let desk = busy().await;
    let release = ["event", "release", "fevt_9", "--yes"];
    desk.till(&release).await.exits(Exit::Usage);
    for why in [
        "pat@example.com asked",
        "called +15555550100",
        "",
        "two\nlines",
    ] {
        let ended = desk.till(&[&release[..], &["--why", why]].concat()).await;
        assert_eq!(ended.exit, Exit::Usage, "{why:?}");
        assert!(!ended.text.contains("pat@example.com"));
    }
    assert_eq!(desk.bundle.state("fevt_9"), Parked);
    let asked = FakeTerminal::typing(&["the sale is complete", "y"]);
    desk.till_at(&asked, &["event", "release", "fevt_9"])
        .await
        .exits(Exit::Done);
}

#[tokio::test]
async fn two_operators_at_once_send_one_mail() {
    let desk = busy().await;
    let mail = format!("{}-order", purchase(1).order_id());
    let version = desk.version(&mail);
    let resend = ["mail", "resend", &mail, "--version", &version];
    let before = desk.bundle.mails();
    let (one, two) = tokio::join!(desk.confirmed(&resend), desk.confirmed(&resend));
    assert!(
        [one.exit, two.exit].contains(&Exit::Done),
        "{} {}",
        one.text,
        two.text
    );
    desk.bundle.drain().await;
    assert_eq!(desk.bundle.mails(), before + 1);
    let late = desk.confirmed(&resend).await.exits(Exit::Failed);
    assert!(late.text.contains("has changed"));
}
