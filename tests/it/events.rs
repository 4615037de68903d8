//! The samples under `events/`: every file has a use; those of intake, fulfillment and receipts tell one story, that of
//! the delivery in `flex/checkout.session.completed.json`. `documents` checks that every type of event has one.
//!
//! The intake samples have no valid signature. The tests sign them for a chosen clock, `local/stack.py` for
//! the moment of the call.

use crate::{announced, local::stack_py};
use aws::batch;
use aws_lambda_events::event::sqs::SqsEvent;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    delivery::{
        event::{Change, Event},
        signature::{Direction, Refusal},
    },
    ports::Delay,
};
use intake::answer::{Answer, Kept};
use kit::prelude::*;
use kit::{signed::signed_as, stand_in::Kind, story::SECRET};
use std::{
    fs,
    path::{Path, PathBuf},
};

const INTAKE: [&str; 2] = ["intake.json", "intake.base64.json"];
const FULFILLMENT: &str = "fulfillment.json";
const RECEIPTS: &str = "receipts.json";
const COMPLETED: &str = "flex/checkout.session.completed.json";
const FLINT_SEED: &str = "flint/stand-in.json";

/// The use of a file, by its path. A file elsewhere needs an entry here.
fn use_of(name: &str) -> fn(&str) {
    match name {
        "intake.json" | "intake.base64.json" => is_taken_in,
        FULFILLMENT => is_a_batch::<FulfillmentJob>,
        RECEIPTS => is_a_batch::<ReceiptJob>,
        "sweep.json" | "reconcile.json" | "announcements.json" => says_nothing_but_that_it_is_time,
        "feedback.json" => is_a_batch_about_mails,
        COMPLETED | "flex/checkout.session.completed.expanded.json" => {
            tells_of_a_checkout_in_the_seed
        }
        "flex/stand-in.json" => seeds_checkouts_that_are_understood,
        _ if name.starts_with("ses/") => tells_what_became_of_a_mail,
        _ if name.starts_with("flex/api/") => is_in_the_seed,
        _ if name.starts_with("flex/") => is_an_event_about_what_the_seed_knows,
        FLINT_SEED => names_only_things_that_it_has,
        _ if name.starts_with("flint/") => is_an_event_of_flints_about_the_seed,
        _ if name.starts_with("announcements/") => is_checked_with_the_announcements,
        _ => panic!("{name} has no use"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parsed(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files under a folder of `events`, by their paths from there.
fn files(under: &Path) -> Vec<String> {
    let entries = fs::read_dir(under)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let names = files.iter().map(|path| {
        path.strip_prefix(folder())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    });
    names
        .chain(folders.iter().flat_map(|folder| self::files(folder)))
        .collect()
}

/// The example shop in test mode, like the samples, with both of their products in stock.
fn shop() -> Bundle {
    let world = World::at(Timestamp::from_second(BEGIN).unwrap());
    world.kept().keys = vec![flex::secret::key(SECRET).unwrap()];
    for name in ["BRACE-M", "TOTE"] {
        world.kept().counters.insert(sku(name), ON_HAND);
    }
    let bundle = Bundle::over(&world, Mode::Test, OnUnknown::Resend);
    bundle.provider_has(&sale(&Purchase::sample()));
    bundle
}

fn header<'a>(event: &'a Value, name: &str) -> &'a str {
    event["headers"][name]
        .as_str()
        .unwrap_or_else(|| panic!("no header {name}"))
}

fn body(event: &Value) -> String {
    let body = event["body"].as_str().unwrap();
    if event["isBase64Encoded"] == true {
        String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
    } else {
        body.to_owned()
    }
}

/// An intake sample, signed for a chosen clock.
fn signed(name: &str, now: Timestamp) -> Value {
    let mut event = parsed(name);
    for (name, value) in signed_as(header(&event, "svix-id"), SECRET, &body(&event), now) {
        event["headers"][name] = json!(value);
    }
    event
}

async fn take(bundle: &Bundle, event: &Value) -> Answer {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    intake::http::take(&bundle.intake, &request).await
}

/// The row that intake makes of a sample.
async fn row(name: &str) -> StoredEvent {
    let bundle = shop();
    let answer = take(
        &bundle,
        &signed(name, Timestamp::from_second(BEGIN).unwrap()),
    )
    .await;
    assert_eq!(answer.reply().status, 200, "{name}");
    let Answer::Kept(Kept::Accepted, row, _) = answer else {
        panic!("{name}: {answer:?}")
    };
    *row
}

/// The one job of a batch.
fn job<J: Job>(name: &str) -> J {
    let event: SqsEvent = serde_json::from_str(&read(name)).unwrap();
    assert_eq!(event.records.len(), 1, "{name}");
    serde_json::from_str(event.records[0].body.as_deref().unwrap()).unwrap()
}

fn change(name: &str) -> (Box<Event>, OrderId) {
    let Reading::Event(event) = flex::read(read(name).as_bytes()) else {
        panic!("{name} is not understood")
    };
    let Change::Sale { order_id, .. } = event.change.clone() else {
        panic!("{name}: {event:?}")
    };
    (event, order_id)
}

fn is_taken_in(name: &str) {
    let event = parsed(name);
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["requestContext"]["http"]["path"], event["rawPath"]);
    assert_eq!(body(&event), read(COMPLETED));
    assert_eq!(
        header(&event, "content-length"),
        read(COMPLETED).len().to_string()
    );
}

fn is_a_batch<J: Job>(name: &str) {
    let event: SqsEvent = serde_json::from_str(&read(name)).unwrap();
    for record in &event.records {
        assert_eq!(record.event_source.as_deref(), Some("aws:sqs"));
        assert!(
            record
                .event_source_arn
                .as_deref()
                .unwrap()
                .contains(":123456789012:")
        );
        assert!(record.message_id.is_some() && record.receipt_handle.is_some());
        assert!(record.attributes.contains_key("ApproximateReceiveCount"));
        serde_json::from_str::<J>(record.body.as_deref().unwrap()).unwrap();
    }
}

fn is_a_report(event: &Value) -> bool {
    event["eventType"].is_string() && event["mail"]["tags"]["receipt_id"].is_array()
}

fn tells_what_became_of_a_mail(name: &str) {
    assert!(is_a_report(&parsed(name)), "{name}");
}

fn is_a_batch_about_mails(name: &str) {
    let event: SqsEvent = serde_json::from_str(&read(name)).unwrap();
    assert!(!event.records.is_empty());
    for record in &event.records {
        let body: Value = serde_json::from_str(record.body.as_deref().unwrap()).unwrap();
        assert!(is_a_report(&body), "{name}");
    }
}

fn is_checked_with_the_announcements(name: &str) {
    let name = name.trim_start_matches("announcements/");
    assert!(announced::files().contains(name), "{name} is of no kind");
}

fn says_nothing_but_that_it_is_time(name: &str) {
    assert_eq!(parsed(name), json!({}));
}

/// The stand-in's seed: every sale, by the names of its files.
fn seed() -> Vec<(String, String)> {
    let file = |value: &Value| format!("flex/{}", value.as_str().unwrap());
    let sessions = parsed("flex/stand-in.json")["sessions"].take();
    let pair = |entry: &Value| (file(&entry["session"]), file(&entry["line_items"]));
    sessions.as_array().unwrap().iter().map(pair).collect()
}

fn seeded_sale(session: &str, line_items: &str) -> domain::sale::statement::Sale {
    let purchase = Purchase {
        session: parsed(session)["checkout_session"].take(),
        line_items: parsed(line_items)["line_items"].take(),
        customer: parsed("flex/api/customer.json")["customer"].take(),
    };
    sale(&purchase)
}

fn seeds_checkouts_that_are_understood(_: &str) {
    for (session, line_items) in seed() {
        assert!(
            !seeded_sale(&session, &line_items).lines.is_empty(),
            "{session}"
        );
    }
}

fn is_in_the_seed(name: &str) {
    let seed = parsed("flex/stand-in.json").to_string();
    assert!(
        seed.contains(&format!("{:?}", name.strip_prefix("flex/").unwrap())),
        "{name}"
    );
}

/// Everything that the stand-in knows from the start, as text.
fn seeded() -> String {
    fn files_in(seed: &Value) -> Vec<&str> {
        match seed {
            Value::String(file) => vec![file],
            Value::Array(parts) => parts.iter().flat_map(files_in).collect(),
            Value::Object(parts) => parts.values().flat_map(files_in).collect(),
            _ => Vec::new(),
        }
    }
    files_in(&parsed("flex/stand-in.json"))
        .iter()
        .map(|file| read(&format!("flex/{file}")))
        .collect()
}

/// The member of an event's resource whose id the seed must know. It knows an invoice's subscription, the
/// payment of a charge or a dispute, and a consultation's customer.
fn subject(resource: &str) -> Option<&'static str> {
    match resource {
        "checkout_session" => Some("checkout_session_id"),
        "customer" => Some("customer_id"),
        "payment_intent" | "dispute" => Some("payment_intent_id"),
        "subscription" => Some("subscription_id"),
        "invoice" => Some("subscription"),
        "refund" => Some("refund_id"),
        "charge" => Some("payment_intent"),
        "product" => Some("product_id"),
        "consultation" => Some("customer"),
        "external_partner" => None,
        other => panic!("no resource of Flex's: {other}"),
    }
}

/// The type that a sample of an event is named for. `invoice.paid.renewal.json` is another `invoice.paid`.
fn event_type(name: &str) -> &str {
    let stem = name.trim_start_matches("flex/").trim_end_matches(".json");
    stem.strip_suffix(".renewal").unwrap_or(stem)
}

fn is_an_event_about_what_the_seed_knows(name: &str) {
    let event = parsed(name);
    assert_eq!(event["event_type"], event_type(name), "{name}");
    assert!(event["event_dt"].is_i64(), "{name}");
    let has_its_id = |other: &&String| parsed(other)["event_id"] == event["event_id"];
    let sharing = files(&folder().join("flex"));
    let sharing = sharing.iter().filter(has_its_id).count();
    assert_eq!(sharing, 1, "{name}: another sample has its event id");

    let resources = event["object"].as_object().unwrap();
    assert_eq!(resources.len(), 1, "{name}");
    for (resource, facts) in resources {
        assert_eq!(facts["test_mode"], true, "{name}");
        if let Some(subject) = subject(resource) {
            let id = facts[subject]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: no {subject}"));
            assert!(
                seeded().contains(&format!("{id:?}")),
                "{name}: the stand-in does not know {id}"
            );
        }
    }
}

fn tells_of_a_checkout_in_the_seed(name: &str) {
    let (_, order_id) = change(name);
    let known = seed()
        .iter()
        .any(|(session, items)| seeded_sale(session, items).order_id == order_id);
    assert!(known, "{name}: the stand-in does not know {order_id}");
}

/// The starts of the ids of the things that the stand-in for Flint knows.
const FLINT_IDS: &str = "ord_ li_ cus_ pi_ pm_ ref_ sub_ cs_ mer_ inv_ invpa_ ful_ btxn_";

/// All ids of such things that a value names: in members that end with `_id` or `_ids`.
fn named_in(value: &Value) -> BTreeSet<&str> {
    let is_of_seed = |id: &&str| FLINT_IDS.split(' ').any(|start| id.starts_with(start));
    match value {
        Value::Array(parts) => parts.iter().flat_map(named_in).collect(),
        Value::Object(members) => {
            let of = |(name, value): (&'_ String, _)| ids_or_named(name, value);
            members.iter().flat_map(of).filter(is_of_seed).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The ids in a member, or those that its value names.
fn ids_or_named<'a>(name: &str, value: &'a Value) -> BTreeSet<&'a str> {
    if name.ends_with("_id") || name.ends_with("_ids") {
        let listed = value.as_array().into_iter().flatten();
        listed.chain([value]).filter_map(Value::as_str).collect()
    } else {
        named_in(value)
    }
}

/// The ids of the things in the seed of the stand-in for Flint, and of the lines of its orders.
fn flint_ids() -> BTreeSet<String> {
    let lists: BTreeMap<Kind, Vec<Value>> =
        serde_json::from_value(parsed(FLINT_SEED)["test"].take()).unwrap();
    let mut ids = BTreeSet::new();
    for (kind, things) in &lists {
        for thing in things {
            let lines = thing["line_items"].as_array().into_iter().flatten();
            let lines = lines.map(|line| &line["order_line_item_id"]);
            let own = lines.chain([&thing[kind.id()]]);
            ids.extend(own.map(|id| id.as_str().unwrap().to_owned()));
        }
    }
    ids
}

fn assert_known(name: &str, value: &Value) {
    let (named, known) = (named_in(value), flint_ids());
    let is_missing = |id: &&&str| !known.contains(**id);
    let missing: Vec<_> = named.iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "{name}: the stand-in does not know {missing:?}"
    );
}

fn names_only_things_that_it_has(name: &str) {
    assert_known(name, &parsed(name));
}

fn is_an_event_of_flints_about_the_seed(name: &str) {
    let event = parsed(name);
    let stem = name.trim_start_matches("flint/").trim_end_matches(".json");
    let event_type = stem.strip_suffix(".subscription").unwrap_or(stem);
    assert_eq!(event["event_type"], event_type, "{name}");
    assert_eq!(
        (&event["mode"], &event["merchant_id"]),
        (&json!("test"), &json!("mer_1"))
    );
    let Reading::Event(read) = flint::read(self::read(name).as_bytes()) else {
        panic!("{name} is not read")
    };
    let renamed = flint::aliases().find(|(alias, _)| *alias == event_type);
    let current = renamed.map_or(event_type, |(_, current)| current);
    assert_eq!(read.event_type, current);
    let is_dispute = current.starts_with("dispute.");
    let is_understood = !matches!(read.change, Change::NotUnderstood(_) | Change::Unhandled);
    assert_eq!(is_understood, !is_dispute, "{name}: {:?}", read.change);
    let files = files(&folder().join("flint"));
    let events = files
        .iter()
        .filter(|file| *file != FLINT_SEED)
        .map(|file| parsed(file));
    let sharing = events.filter(|other| other["webhook_event_id"] == event["webhook_event_id"]);
    assert_eq!(
        sharing.count(),
        1,
        "{name}: another sample has its event id"
    );
    assert_known(name, &event["data"]);
}

#[test]
fn every_file_has_a_use() {
    let files = files(&folder());
    assert!(files.len() > 60, "{files:?}");
    for name in files {
        use_of(&name)(&name);
    }
}

#[tokio::test]
async fn plain_and_in_base64_a_sample_makes_the_same_row() {
    let [plain, base64] = INTAKE;
    assert_eq!(row(plain).await, row(base64).await);
    assert_eq!(row(plain).await.body, read(COMPLETED).as_bytes());
}

#[tokio::test]
async fn a_sample_as_it_lies_there_opens_no_door() {
    for name in INTAKE {
        let event = parsed(name);
        let its_time =
            Timestamp::from_second(header(&event, "svix-timestamp").parse().unwrap()).unwrap();
        // Its own time is before the shop's morning, by less than the tolerance.
        let then = shop();
        let answer = take(&then, &event).await;
        assert!(
            then.world.now().duration_since(its_time).as_secs() < 300,
            "{name}"
        );
        assert_eq!(answer, Answer::Refused(Refusal::Forged.into()), "{name}");
        assert_eq!(answer.reply().status, 401, "{name}");

        let today = shop();
        today.world.pass_until(Timestamp::now());
        let answer = take(&today, &event).await;
        let Answer::Refused(intake::request::Refusal::Signature(Refusal::Stale {
            direction, ..
        })) = answer
        else {
            panic!("{name}: {answer:?}")
        };
        assert_eq!(
            (direction, answer.reply().status),
            (Direction::Past, 401),
            "{name}"
        );
        assert!(
            then.world.kept().events.is_empty() && today.world.kept().events.is_empty(),
            "{name}"
        );
    }
}

struct NoDelay;

impl Delay for NoDelay {
    async fn delay(&self, _: &str, _: Duration) -> Result<(), RetryableError> {
        panic!("a sample failed");
    }
}

/// Hands a batch to a function, as Lambda does.
async fn hand_over<J: Job, W: batch::Worker<J>>(name: &str, bundle: &Bundle, worker: &W) {
    let event = serde_json::from_str(&read(name)).unwrap();
    let answer = bundle.invoke(event, "request", worker, &NoDelay).await;
    assert!(answer.batch_item_failures.is_empty(), "{name}");
}

#[tokio::test]
async fn one_after_the_other_the_samples_turn_a_delivery_into_a_mail() {
    let bundle = shop();
    let (event, order_id) = change(COMPLETED);

    let answer = take(
        &bundle,
        &signed("intake.json", Timestamp::from_second(BEGIN).unwrap()),
    )
    .await;
    assert_matches!(answer, Answer::Kept(Kept::Accepted, ..));
    let queued = bundle
        .world
        .kept()
        .fulfillment_queue
        .pop_front()
        .map(|message| message.job);
    assert_eq!(queued, Some(job::<FulfillmentJob>(FULFILLMENT)));

    hand_over::<FulfillmentJob, _>(FULFILLMENT, &bundle, &bundle.fulfillment).await;
    let queued = bundle
        .world
        .kept()
        .receipt_queue
        .pop_front()
        .map(|message| message.job);
    assert_eq!(queued, Some(job::<ReceiptJob>(RECEIPTS)));

    hand_over::<ReceiptJob, _>(RECEIPTS, &bundle, &bundle.receipts).await;
    let receipt_id: ReceiptId = ReceiptId::new(format!("{order_id}-order")).unwrap();
    let kept = bundle.world.kept();
    assert_eq!(kept.events[&event.event_id].state, Processed);
    assert_eq!(kept.orders.keys().collect::<Vec<_>>(), [&order_id]);
    assert_matches!(kept.receipts[&receipt_id].state, ReceiptState::Sent { .. });
    assert_eq!(
        kept.mails
            .iter()
            .map(|mail| &mail.receipt_id)
            .collect::<Vec<_>>(),
        [&receipt_id]
    );
    assert!(kept.fulfillment_queue.is_empty() && kept.receipt_queue.is_empty());
}

/// The output of `local/stack.py event` for a file, on the stack that `STACK_FILE` names.
fn printed(file: &str) -> String {
    let output = stack_py(&["event", file]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_local_stack_signs_a_sample_for_the_moment_of_the_call() {
    let stack = Stack::named().unwrap_or_else(|error| panic!("{error}"));
    for name in INTAKE {
        let event: Value = serde_json::from_str(&printed(&format!("events/{name}"))).unwrap();
        let bundle = shop();
        bundle.world.pass_until(Timestamp::now());
        bundle.world.kept().keys = vec![flex::secret::key(&stack.webhook_secret).unwrap()];
        let answer = take(&bundle, &event).await;
        assert!(
            matches!(answer, Answer::Kept(Kept::Accepted, ..)),
            "{name}: {answer:?}"
        );
    }
}

#[test]
fn the_local_stack_leaves_a_sample_without_a_signature_alone() {
    assert_eq!(printed(&format!("events/{FULFILLMENT}")), read(FULFILLMENT));
}
