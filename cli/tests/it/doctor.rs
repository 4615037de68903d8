//! `doctor`: each check, its cure and its repair.

use crate::{
    desk::{Desk, FakeTerminal, mail_account},
    read::busy,
};
use domain::{
    delivery::stored_event::StoredEvent,
    values::{class::Class, ids::DeliveryId, note::Notes},
};
use kit::{fakes::Hop, prelude::*};
use till::{
    backend::{Alarm, Function, MailAccount},
    doctor,
    error::Exit,
};

/// A healthy stack that serves Flex.
pub fn healthy() -> Desk {
    let mut desk = Desk::open();
    for (name, value) in [
        ("Provider", "flex"),
        ("MerchantAddress", "12 Wharf Street|Portland, ME 04101"),
        ("SupportEmail", "support@harborandpine.com"),
        ("ReceiptSender", "receipts@harborandpine.com"),
    ] {
        desk.set(name, value);
    }
    desk.log(
        40 * 60,
        json!({"function": "reconcile", "outcome": "reconciled", "missing": 0}),
    );
    desk.log(4 * 60, json!({"function": "sweep", "outcome": "swept"}));
    desk.log(3 * 60, json!({"function": "intake", "outcome": "accepted"}));
    for path in ["checkout/sessions", "refunds", "subscriptions", "invoices"] {
        desk.answer(&format!("GET /v1/{path}?limit=1"), 200, json!({}));
    }
    let mut services = desk.services();
    services
        .verified
        .insert("harborandpine.com".to_owned(), true);
    services.answers = 401;
    drop(services);
    desk
}

#[tokio::test]
async fn a_healthy_stack_has_no_finding() {
    let ended = healthy().till(&["doctor"]).await.exits(Exit::Done);
    insta::assert_snapshot!("healthy", ended.text);
}

/// One way to provoke each check.
fn provoke(desk: &mut Desk, check: &str) {
    let alarm = |notifies: bool, state: &str| Alarm {
        name: "ParkedAlarm".to_owned(),
        state: state.to_owned(),
        notifies,
    };
    let account = |desk: &Desk, change: fn(&mut MailAccount)| {
        let mut account = mail_account();
        change(&mut account);
        desk.services().account = Some(account);
    };
    match check {
        "aws.credentials" => drop(desk.services().away.insert("STS")),
        "stack.status" => "UPDATE_ROLLBACK_FAILED".clone_into(&mut desk.stack.status),
        "stack.parameters" => desk.set("ReconcileDays", "0"),
        "stack.version" => desk.stack.version = Some("0.0.1".to_owned()),
        "function.flow" => drop(desk.services().paused.insert(Function::Receipts)),
        "function.start" => desk.log(
            120,
            json!({"function": "intake", "outcome": "cannot_start", "reason": "the secret is empty"}),
        ),
        "alarms.topic" => drop(desk.stack.parameters.remove("AlarmTopicArn")),
        "alarms.subscriber" => desk.services().subscriptions = (0, 1),
        "alarms.on" => desk.services().alarms = vec![alarm(false, "OK")],
        "alarms.ring" => desk.services().alarms = vec![alarm(true, "ALARM")],
        "secret.webhook" => desk.keep(
            "FlexWebhookSecrets",
            &json!({"webhook_secrets": ["whsec_!"]}),
        ),
        "secret.api-key" => desk.keep("FlexApiKey", &json!({"api_key": "fsk_test_1"})),
        "provider.reach" => desk.answer("GET /v1/refunds?limit=1", 403, json!({})),
        "webhook.url" => desk.services().answers = 404,
        "webhook.arrives" => desk.log(
            120,
            json!({"function": "reconcile", "outcome": "reconciled", "missing": 3}),
        ),
        "webhook.verifies" => desk.log(
            120,
            json!({"function": "intake", "outcome": "refused", "reason": "no signature matches"}),
        ),
        "mail.sender" => desk.services().verified.clear(),
        "mail.sandbox" => account(desk, |account| account.production = false),
        "mail.enforcement" => account(desk, |account| {
            "PROBATION".clone_into(&mut account.enforcement);
        }),
        "mail.quota" => account(desk, |account| {
            (account.sent_last_day, account.most_a_day) = (190.0, 200.0);
        }),
        "work.letters" => {
            desk.bundle
                .world
                .kept()
                .give_up(Hop::Receipts, "{}".to_owned(), "in vain".to_owned());
        }
        "work.sweep" => desk
            .services()
            .log
            .retain(|line| line.fields["function"] != json!("sweep")),
        "work.reconcile" => desk
            .services()
            .log
            .retain(|line| line.fields["function"] != json!("reconcile")),
        "webhook.mode" => {
            let id = EventId::new("fevt_test").unwrap();
            let parked = StoredEvent {
                event_id: id.clone(),
                provider: "flex".parse().unwrap(),
                delivery_id: DeliveryId::new("msg_1").unwrap(),
                event_type: None,
                subject: None,
                occurred_at: None,
                received_at: desk.bundle.world.now(),
                body: Vec::new(),
                fingerprint: String::new(),
                state: Parked,
                reason: None,
                class: Some(Class::OtherMode),
                attempts: 0,
                notes: Notes::default(),
                outbox: Vec::new(),
            };
            desk.bundle.world.kept().events.insert(id, parked);
        }
        // The healthy stack's URL refuses what is posted.
        "webhook.signed" => {}
        "logs.privacy" => desk.log(
            120,
            json!({"function": "intake", "outcome": "accepted", "reason": "to <pat@example.com>"}),
        ),
        other => panic!("{other} is not provoked"),
    }
}

/// The checks whose problem `--fix` repairs.
const FIXES: [&str; 4] = ["alarms.on", "mail.sender", "work.sweep", "work.reconcile"];

/// The calls of the fixes.
fn fixed(desk: &Desk) -> (usize, usize, usize) {
    let services = desk.services();
    let loud = services
        .alarms
        .iter()
        .filter(|alarm| alarm.notifies)
        .count();
    let asked = usize::from(services.verified.contains_key("receipts@harborandpine.com"));
    (loud, asked, services.invoked.len())
}

#[tokio::test]
async fn a_fix_is_asked_for_and_its_check_runs_again() {
    let checks = doctor::checks::<Desk>();
    let with_fix: Vec<&str> = checks
        .iter()
        .filter(|check| check.has_fix())
        .map(|check| check.id)
        .collect();
    let all: BTreeSet<&str> = with_fix.iter().copied().collect();
    assert_eq!(all, BTreeSet::from(FIXES));
    for check in FIXES {
        let mut desk = healthy();
        provoke(&mut desk, check);
        let args = ["doctor", check, "--fix"];
        assert_eq!(desk.till(&args).await.exit, Exit::Unconfirmed, "{check}");
        let declined = desk.till_at(&FakeTerminal::typing(&["n"]), &args).await;
        assert_eq!(
            declined.data()["fixed"][0]["text"],
            json!("declined"),
            "{check}"
        );
        assert_eq!(fixed(&desk), (0, 0, 0), "{check}");
        let asked = FakeTerminal::typing(&["y"]);
        let done = desk.till_at(&asked, &args).await;
        assert_eq!(
            done.data()["fixed"][0]["done"],
            json!(true),
            "{check}: {}",
            done.text
        );
        assert_ne!(fixed(&desk), (0, 0, 0), "{check}");
        let said = asked.said.lock().unwrap().join("\n");
        assert!(said.contains(check) && said.contains("? [y/N]"), "{said}");
        // The check ran again. The log of the others shows their run later.
        let wanted = if ["alarms.on", "mail.sender"].contains(&check) {
            Exit::Done
        } else {
            Exit::Attention
        };
        assert_eq!(done.exit, wanted, "{check}: {}", done.text);
        let mut desk = healthy();
        provoke(&mut desk, check);
        desk.till(&["doctor", "--fix", "--yes"]).await;
        assert_ne!(fixed(&desk), (0, 0, 0), "{check}, with --yes");
    }
    // Nothing to fix asks nothing.
    assert_eq!(healthy().till(&["doctor", "--fix"]).await.exit, Exit::Done);
}

#[tokio::test]
async fn warnings_fail_if_they_shall() {
    let mut desk = healthy();
    provoke(&mut desk, "alarms.ring");
    assert_eq!(desk.till(&["doctor"]).await.exit, Exit::Done);
    let strict = desk.till(&["doctor", "--fail-on", "warn"]).await;
    assert_eq!(strict.exit, Exit::Attention);
    assert_eq!(
        healthy().till(&["doctor", "--fail-on", "warn"]).await.exit,
        Exit::Done
    );
}

#[tokio::test]
async fn deep_checks_run_on_request_only() {
    let desk = healthy();
    let ids = |ended: &crate::desk::Ended| -> BTreeSet<String> {
        let lines = ended.data()["checks"].as_array().unwrap().iter();
        lines
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (usual, deep) = (
        desk.till(&["doctor"]).await,
        desk.till(&["doctor", "--deep"]).await,
    );
    let more: Vec<String> = ids(&deep).difference(&ids(&usual)).cloned().collect();
    assert_eq!(more, ["logs.privacy", "webhook.signed"]);
    assert_eq!(deep.exit, Exit::Attention, "the URL refuses what is posted");
    assert!(!ids(&desk.till(&["doctor", "webhook"]).await).contains("webhook.signed"));
    // Intake takes what the check posts.
    desk.services().answers = 200;
    desk.till(&["doctor", "webhook.signed"]).await;
    desk.deliver_posted().await;
    let signed = desk.till(&["doctor", "webhook.signed"]).await;
    let line = &signed.data()["checks"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(line["status"], json!("ok"), "{line}");
}

/// The checks of open work, which a busy stack provokes.
const BUSY: [&str; 4] = ["work.parked", "work.mails", "work.late", "work.short"];

#[tokio::test]
async fn each_check_is_provoked_and_names_its_cure() {
    let mut report = String::new();
    for check in doctor::checks::<Desk>() {
        if BUSY.contains(&check.id) {
            continue;
        }
        let mut desk = healthy();
        provoke(&mut desk, check.id);
        let ended = desk.till(&["doctor", check.id]).await;
        let lines = ended.data()["checks"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", ended.text));
        let line = lines
            .iter()
            .find(|line| line["id"] == json!(check.id))
            .unwrap();
        let is_bad = ["fail", "warn"].contains(&line["status"].as_str().unwrap());
        assert!(is_bad && line["cure"] != json!(""), "{line}");
        report += &format!(
            "{} {}\n  {}\n  Fix: {}\n",
            line["id"].as_str().unwrap(),
            line["status"].as_str().unwrap(),
            line["says"].as_str().unwrap(),
            line["cure"].as_str().unwrap()
        );
    }
    insta::assert_snapshot!(
        "provoked",
        report.replace(env!("CARGO_PKG_VERSION"), "VERSION")
    );
}

#[tokio::test]
async fn open_work_is_found_and_named() {
    let desk = busy().await;
    desk.bundle.world.kept().counters.insert(sku("BRACE-M"), 0);
    desk.bundle.sell(30).await;
    desk.bundle.drain().await;
    desk.bundle.sell(31).await;
    desk.bundle.world.pass(Duration::from_hours(5));
    let ended = desk.till(&[&["doctor"], &BUSY[..]].concat()).await;
    let lines = ended.data()["checks"].as_array().unwrap();
    for check in BUSY {
        let line = lines
            .iter()
            .find(|line| line["id"] == json!(check))
            .unwrap();
        assert!(
            ["fail", "warn"].contains(&line["status"].as_str().unwrap()),
            "{line}"
        );
    }
    insta::assert_snapshot!("busy", ended.text);
}

#[tokio::test]
async fn one_cause_appears_once() {
    let mut desk = healthy();
    provoke(&mut desk, "secret.webhook");
    let ended = desk.till(&["doctor", "webhook"]).await;
    assert_eq!(ended.exit, Exit::Attention);
    insta::assert_snapshot!("cause", ended.text);
    assert_eq!(desk.till(&["doctor", "nothing"]).await.exit, Exit::Usage);
    let away = healthy();
    away.services().away.insert("SES");
    assert_eq!(
        away.till(&["doctor", "mail"]).await.exit,
        Exit::Unavailable,
        "unknown is not wrong"
    );
}

#[tokio::test]
async fn on_its_first_day_a_stack_need_not_have_run_and_may_find_older_events() {
    let mut desk = healthy();
    for check in ["webhook.arrives", "work.sweep"] {
        provoke(&mut desk, check);
    }
    let verdict = async |desk: &Desk| desk.till(&["doctor"]).await.exit;
    desk.stack.created_at = Some(desk.bundle.world.now() - SignedDuration::from_hours(23));
    assert_eq!(verdict(&desk).await, Exit::Done);
    desk.stack.created_at = Some(desk.bundle.world.now() - SignedDuration::from_hours(25));
    assert_eq!(verdict(&desk).await, Exit::Attention);
}

#[test]
fn no_cure_names_a_command_that_there_is_not() {
    let file = format!(
        "{}/tests/it/snapshots/it__doctor__provoked.snap",
        env!("CARGO_MANIFEST_DIR")
    );
    let snapshot = std::fs::read_to_string(file).unwrap();
    let cli = <till::args::Cli as clap::CommandFactory>::command();
    let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    for (place, _) in snapshot.match_indices("till ") {
        let word = snapshot[place + 5..]
            .split([' ', ',', '.', ')', ';', '\n'])
            .next()
            .unwrap();
        assert!(
            names.contains(&word) || ["is", "again"].contains(&word),
            "{word}"
        );
    }
}
