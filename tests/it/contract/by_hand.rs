//! The shell commands of `docs/operations.md` that change a row. A shell reads them as written. Applied to DynamoDB,
//! each must leave the row that `operator` leaves.

use super::{On as _, committed, dynamodb, later, now, owner, park, recorded, unique};
use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{AttributeValue, ReturnValue},
};
use domain::ports::{
    EventAdmin as _, Events as _, Orders as _, ReceiptAdmin as _, Receipts as _, Reopening,
    Suppressions as _,
};
use kit::prelude::*;
use std::{
    collections::HashMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

type Row = HashMap<String, AttributeValue>;

const REOPEN: (&str, usize) = ("### Release, replay or drop an event", 0);
const DROP: (&str, usize) = ("### Release, replay or drop an event", 1);
const SEND_AGAIN: (&str, usize) = ("### Send or close a receipt", 0);
const CLOSE: (&str, usize) = ("### Send or close a receipt", 1);
const CORRECT: (&str, usize) = ("### Correct an address", 0);
const CLEAR: (&str, usize) = ("### Clear an address", 0);
const COUNT: (&str, usize) = ("### `OrderReviewAlarm`", 0);

fn operations() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md")).unwrap()
}

/// The blocks of commands that change a row, by heading.
fn blocks(document: &str) -> BTreeMap<&str, Vec<String>> {
    let mut blocks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (mut heading, mut block) = ("", None::<String>);
    for line in document.lines() {
        match &mut block {
            Some(commands) if line == "```" => {
                if commands.contains("dynamodb update-item") {
                    blocks
                        .entry(heading)
                        .or_default()
                        .push(std::mem::take(commands));
                }
                block = None;
            }
            Some(commands) => commands.extend([line, "\n"]),
            None if line == "```sh" => block = Some(String::new()),
            None if line.starts_with('#') => heading = line,
            None => {}
        }
    }
    blocks
}

fn block((heading, nth): (&str, usize)) -> String {
    blocks(&operations())[heading][nth].clone()
}

/// A block for another state than the one that it names first. The block's line `FROM=…` names the state too.
fn from_state(place: (&str, usize), first: &str, state: &str) -> String {
    let (commands, from) = (block(place), format!("FROM={first}"));
    let line = commands.lines().find(|line| line.starts_with(&from));
    assert!(line.is_some_and(|line| line.contains(state)), "{commands}");
    commands.replace(&from, &format!("FROM={state}"))
}

/// The options that a shell passes to `aws dynamodb update-item` when it runs such commands.
fn update(commands: &str, given: &[(&str, &str)], typed: &str) -> BTreeMap<String, String> {
    const AWS: &str = r#"
        of() { printf '%s' "$1"; }
        aws() {
            if [ "$2" = update-item ]; then shift 2; printf '%s\0' "$@" >> options; fi
        }
    "#;
    let folder = std::env::temp_dir().join(unique("by_hand"));
    fs::create_dir(&folder).unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", &format!("{AWS}\n{commands}")])
        .envs(given.iter().copied())
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(typed.as_bytes())
        .unwrap();
    assert!(shell.wait().unwrap().success(), "{commands}");
    let facts = fs::read_to_string(folder.join("options")).unwrap();
    fs::remove_dir_all(folder).unwrap();
    let words: Vec<&str> = facts.split_terminator('\0').collect();
    let options: BTreeMap<_, _> = words
        .chunks(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect();
    assert_eq!(
        options.len() * 2,
        words.len(),
        "one update, each option once: {facts}"
    );
    options
}

fn attributes(json: &str) -> Row {
    let members: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(json).unwrap();
    let value = |typed: BTreeMap<String, String>| {
        assert_eq!(typed.len(), 1, "{json}");
        match typed.into_iter().next().unwrap() {
            (kind, value) if kind == "S" => AttributeValue::S(value),
            (kind, value) if kind == "N" => AttributeValue::N(value),
            (kind, _) => panic!("{kind} in {json}"),
        }
    };
    members
        .into_iter()
        .map(|(name, typed)| (name, value(typed)))
        .collect()
}

/// DynamoDB, changed by shell commands.
struct Hand {
    client: Client,
    stack: Stack,
    ports: Ports,
}

/// A row's table and key.
type Place<'a> = (&'a str, Row);

impl Hand {
    async fn new() -> Self {
        let stack = Stack::named().unwrap();
        Self {
            client: Client::new(&stack.config().await),
            ports: dynamodb().await,
            stack,
        }
    }

    fn table(&self, name: &str) -> &str {
        let tables = &self.stack.tables;
        match name {
            "EventsTable" => &tables.events,
            "OrdersTable" => &tables.orders,
            "LinksTable" => &tables.links,
            "StockTable" => &tables.stock,
            "ReceiptsTable" => &tables.receipts,
            other => panic!("{other}"),
        }
    }

    /// The updated row; `None` if the condition does not hold.
    async fn apply(&self, mut options: BTreeMap<String, String>) -> Option<Row> {
        let mut take = |name: &str| options.remove(name);
        let names = take("--expression-attribute-names")
            .map(|names| serde_json::from_str::<HashMap<String, String>>(&names).unwrap());
        let update = self
            .client
            .update_item()
            .table_name(self.table(&take("--table-name").unwrap()))
            .set_key(Some(attributes(&take("--key").unwrap())))
            .update_expression(take("--update-expression").unwrap())
            .set_condition_expression(take("--condition-expression"))
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(
                take("--expression-attribute-values").map(|values| attributes(&values)),
            )
            .return_values(ReturnValue::AllNew);
        assert!(options.is_empty(), "{options:?}");
        match update.send().await {
            Ok(done) => done.attributes,
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn read(&self, (table, key): &Place<'_>) -> Option<Row> {
        let get = self
            .client
            .get_item()
            .table_name(self.table(table))
            .set_key(Some(key.clone()));
        get.consistent_read(true).send().await.unwrap().item
    }

    async fn put_back(&self, (table, _): &Place<'_>, row: Row) {
        self.client
            .put_item()
            .table_name(self.table(table))
            .set_item(Some(row))
            .send()
            .await
            .unwrap();
    }

    /// Compares the row that the code left with the row that the shell command leaves. `apart` names attributes whose
    /// values may differ.
    async fn leaves_the_same(
        &self,
        place: &Place<'_>,
        before: Row,
        by_hand: impl Fn() -> BTreeMap<String, String>,
        apart: &[&str],
    ) {
        let mut by_code = self.read(place).await.unwrap();
        self.put_back(place, before).await;
        let mut left = self
            .apply(by_hand())
            .await
            .expect("the row was where it had to be");
        for name in apart {
            assert!(by_code.remove(*name).is_some(), "{name}");
            left.remove(*name);
        }
        assert_eq!(left, by_code);
        let again = self.apply(by_hand()).await;
        assert_eq!(again, None, "whoever comes second is told");
    }
}

fn key(name: &str, id: &impl ToString) -> Row {
    Row::from([(name.to_owned(), AttributeValue::S(id.to_string()))])
}

fn number(row: &Row, name: &str) -> i64 {
    row[name].as_n().unwrap().parse().unwrap()
}

#[test]
fn every_command_that_changes_a_row_is_held_to_the_code() {
    let document = operations();
    let found: Vec<(&str, usize)> = blocks(&document)
        .into_iter()
        .flat_map(|(heading, blocks)| (0..blocks.len()).map(move |nth| (heading, nth)))
        .collect();
    let mut held = [REOPEN, DROP, SEND_AGAIN, CLOSE, CORRECT, CLEAR, COUNT];
    held.sort_unstable();
    assert_eq!(found, held);
    assert!(!document.contains("dynamodb put-item") && !document.contains("dynamodb delete-item"));
}

#[tokio::test]
async fn an_event_is_released_or_replayed_by_hand_as_by_code_on_dynamodb() {
    let hand = Hand::new().await;

    for (word, end, from) in [
        ("parked", park("doubtful"), Parked),
        ("processed", Settlement::Processed, Processed),
    ] {
        let commands = from_state(REOPEN, "parked", word);
        let event = recorded(&hand.ports).await;
        let id = event.event_id;
        hand.ports.events().settle(&id, &end, now()).await.unwrap();
        let place = ("EventsTable", key("event_id", &id));
        let before = hand.read(&place).await.unwrap();
        let note = "by code".to_owned();
        let reopening = Reopening {
            event_id: id.clone(),
            from,
            event_type: None,
            occurred_at: None,
            note,
            announced: None,
        };
        assert_eq!(
            hand.ports.store.reopen_event(&reopening).await,
            Ok(Changed::Now)
        );
        let by_hand = || update(&commands, &[("EVENT", id.as_str())], "");
        hand.leaves_the_same(&place, before, by_hand, &["note"])
            .await;
    }
}

#[tokio::test]
async fn an_event_is_dropped_by_hand_as_by_code_on_dynamodb() {
    let hand = Hand::new().await;
    for (word, from) in [("parked", Parked), ("stored", Stored)] {
        let commands = from_state(DROP, "parked", word);
        let id = recorded(&hand.ports).await.event_id;
        if from == Parked {
            hand.ports
                .events()
                .settle(&id, &park("doubtful"), now())
                .await
                .unwrap();
        }
        let place = ("EventsTable", key("event_id", &id));
        let before = hand.read(&place).await.unwrap();
        let at = Timestamp::now();
        assert_eq!(
            hand.ports
                .store
                .drop_event(&id, from, "by code", None, at)
                .await,
            Ok(Changed::Now)
        );
        let by_code = number(&hand.read(&place).await.unwrap(), "expires_at");
        let by_hand = || update(&commands, &[("EVENT", id.as_str())], "");
        hand.leaves_the_same(&place, before, by_hand, &["note", "expires_at"])
            .await;
        let row = hand.read(&place).await.unwrap();
        assert!(
            (0..600).contains(&(number(&row, "expires_at") - by_code)),
            "{row:?}"
        );
        assert!(!row["note"].as_s().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_mail_is_sent_again_by_hand_as_by_code_on_dynamodb() {
    let hand = Hand::new().await;
    let ports = &hand.ports;
    let sent = sent_as("ses-1", now());
    let failed = failed_for("no such address");
    for (from, state) in [
        ("held", None),
        ("failed", Some(failed)),
        ("sent", Some(sent)),
    ] {
        let unsent = committed(ports).await;
        let id = unsent.receipt_id.clone();
        ports
            .store
            .acquire_lease(&unsent, &owner("a"), later())
            .await
            .unwrap();
        let ended = if let Some(state) = state {
            ports.store.end_lease(&id, &owner("a"), &state, None).await
        } else {
            let claimed = ports.store.receipt(&id).await.unwrap().unwrap();
            ports.store.hold(&claimed, None).await
        };
        assert_eq!(ended, Ok(Changed::Now), "{from}");
        let place = ("ReceiptsTable", key("receipt_id", &id));
        let before = hand.read(&place).await.unwrap();
        let seen = ports.store.receipt(&id).await.unwrap().unwrap();
        assert_eq!(
            ports.store.reopen_receipt(&seen, "by code", now()).await,
            Ok(Changed::Now)
        );
        let commands = from_state(SEND_AGAIN, "held", from);
        let by_hand = || update(&commands, &[("RECEIPT", id.as_str())], "");
        // The command writes no note, and keeps the feedback for earlier mails.
        hand.leaves_the_same(&place, before, by_hand, &["note", "mails", "reopened_at"])
            .await;
        let row = hand.read(&place).await.unwrap();
        assert!(
            (0..600).contains(&(Timestamp::now().as_second() - number(&row, "reopened_at"))),
            "{row:?}"
        );
    }
}

#[tokio::test]
async fn a_receipt_is_closed_by_hand_as_by_code_on_dynamodb() {
    let hand = Hand::new().await;
    let receipts = &hand.ports.store;
    for from in ["held", "failed"] {
        let unsent = committed(&hand.ports).await;
        let id = unsent.receipt_id.clone();
        receipts
            .acquire_lease(&unsent, &owner("a"), later())
            .await
            .unwrap();
        let claimed = receipts.receipt(&id).await.unwrap().unwrap();
        if from == "held" {
            receipts.hold(&claimed, None).await.unwrap();
        } else {
            receipts
                .end_lease(
                    &id,
                    &owner("a"),
                    &ReceiptState::Failed {
                        reason: "no".into(),
                    },
                    None,
                )
                .await
                .unwrap();
        }
        let place = ("ReceiptsTable", key("receipt_id", &id));
        let before = hand.read(&place).await.unwrap();
        let seen = receipts.receipt(&id).await.unwrap().unwrap();
        assert_eq!(
            receipts.close_receipt(&seen, "by code", None).await,
            Ok(Changed::Now)
        );
        let commands = from_state(CLOSE, "held", from);
        let by_hand = || update(&commands, &[("RECEIPT", id.as_str())], "");
        hand.leaves_the_same(&place, before, by_hand, &["note"])
            .await;
        assert!(
            !hand.read(&place).await.unwrap()["note"]
                .as_s()
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn an_order_s_address_is_corrected_by_hand_on_dynamodb() {
    let hand = Hand::new().await;
    let id = committed(&hand.ports).await.order_id;
    let before = hand.ports.orders().order(&id).await.unwrap().unwrap();
    let commands = block(CORRECT).replace('…', "sam@example.com");
    hand.apply(update(&commands, &[("ORDER", id.as_str())], ""))
        .await
        .unwrap();
    let mut expected = before;
    expected.version += 1;
    expected.customer.email = Some("sam@example.com".to_owned());
    assert_eq!(hand.ports.orders().order(&id).await, Ok(Some(expected)));
    let nobody = unique("fcs");
    assert_eq!(
        hand.apply(update(&commands, &[("ORDER", nobody.as_str())], ""))
            .await,
        None
    );
}

#[tokio::test]
async fn what_arrives_is_counted_by_hand_on_dynamodb() {
    let hand = Hand::new().await;
    let sku = Sku::new(unique("SKU")).unwrap();
    hand.ports.stock_levels.put_counter(&sku, 5).await.unwrap();
    let options = update(&block(COUNT).replace('…', sku.as_str()), &[], "");
    let values: Value = serde_json::from_str(&options["--expression-attribute-values"]).unwrap();
    let more: i64 = values[":more"]["N"].as_str().unwrap().parse().unwrap();
    hand.apply(options).await.unwrap();
    assert_eq!(
        hand.ports.stock_levels.on_hand(&sku).await.unwrap(),
        Some(5 + more)
    );
}

#[tokio::test]
async fn an_address_is_cleared_by_hand_on_dynamodb() {
    let hand = Hand::new().await;
    let email = format!("{}@Example.com", unique("Pat"));
    let by_hand = || update(&block(CLEAR), &[], &format!("{email}\n"));
    assert_eq!(hand.apply(by_hand()).await, None, "nobody has marked it");
    let bounced = Suppression {
        bounced_at: Some(Timestamp::now()),
        ..Suppression::of(AddressHash::of(&email))
    };
    hand.ports.store.suppress(&bounced).await.unwrap();
    let marked = hand
        .ports
        .store
        .suppression(&bounced.address)
        .await
        .unwrap()
        .unwrap();
    assert!(marked.reason().is_some());
    hand.apply(by_hand()).await.unwrap();
    let cleared = hand
        .ports
        .store
        .suppression(&bounced.address)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cleared.reason(), None);
    assert_eq!(
        Suppression {
            cleared_at: None,
            ..cleared
        },
        marked
    );
}
