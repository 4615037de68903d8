//! What the day must have come to, held against the tables, the queues and the mails.

use crate::{
    chaos::Damage,
    day::{Day, Moved, scarce},
    mailbox::Mail,
    tables::{Desk, POISON, Row},
};
use jiff::Timestamp;
use kit::{
    play::{Play, PlayError},
    stack::TableNames,
};
use std::collections::{BTreeMap, BTreeSet};

/// Until when every life gives access: the end of the last period that was paid for.
const ACCESS_UNTIL: &str = "2026-04-10T09:00:00Z";
/// How far a kill and the mail that it left unmarked may lie apart, in seconds. The mark follows at once, on a busy machine a
/// little later; and what was on its way when its sender died is taken after that.
const APART: f64 = 0.5;
/// How much of what is wrong is shown.
const SHOWN: usize = 8;

/// What was checked.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) claims: usize,
    pub(crate) broken: usize,
    /// Mails beyond one for each receipt, each explained by a kill between sending and marking.
    pub(crate) again: usize,
}

impl Verdict {
    fn claim(&mut self, what: &str, wrong: &[String]) {
        self.claims += 1;
        if wrong.is_empty() {
            println!("  ✓ {what}");
            return;
        }
        self.broken += 1;
        println!("  ✗ {what}: NOT SO, {} times", wrong.len());
        for one in wrong.iter().take(SHOWN) {
            println!("      {one}");
        }
    }
}

/// Everything as it is now.
struct End {
    events: Vec<Row>,
    orders: Vec<Row>,
    stock: Vec<Row>,
    receipts: Vec<Row>,
    entitlements: Vec<Row>,
}

impl End {
    async fn read(desk: &Desk, tables: &TableNames) -> Result<Self, PlayError> {
        Ok(Self {
            events: desk.rows(&tables.events).await?,
            orders: desk.rows(&tables.orders).await?,
            stock: desk.rows(&tables.stock).await?,
            receipts: desk.rows(&tables.receipts).await?,
            entitlements: desk.rows(&tables.entitlements).await?,
        })
    }
}

/// Checks everything and says so.
pub(crate) async fn check(
    play: &Play,
    desk: &Desk,
    day: &Day,
    damage: &Damage,
    mails: &[Mail],
    log: &str,
    poison: usize,
) -> Result<Verdict, PlayError> {
    let end = End::read(desk, &play.stack.tables).await?;
    let mut verdict = Verdict::default();
    verdict.claim(
        &format!("each of {} events is stored once and processed, and no other", day.events.len()),
        &events(day, &end),
    );
    let orders: BTreeSet<_> = end.orders.iter().map(|order| order.text("order_id").to_owned()).collect();
    let missing = day.orders.difference(&orders).map(|order| format!("{order} is missing"));
    let strange = orders.difference(&day.orders).map(|order| format!("{order} should not be"));
    verdict.claim(
        &format!("each of {} checkouts is one order, and nothing else is", day.orders.len()),
        &missing.chain(strange).collect::<Vec<_>>(),
    );
    verdict.claim(
        &format!("each of {} lines moved its goods once, and refunds put theirs back once", day.moved.len()),
        &movements(day, &end),
    );
    verdict.claim(
        "each counter is what lay there, less what was sold, plus what came back",
        &counters(day, &end),
    );
    verdict.claim(
        &format!("of {} wanted pieces of what is scarce, {} were sold", day.scarce.len(), sold(day)),
        &short(day, &end),
    );
    verdict.claim(
        &format!("each of {} receipts is sent, and no other", day.receipts.len()),
        &receipts(day, &end),
    );
    let (again, wrong) = mailed(&end, mails, damage, log);
    verdict.again = again;
    verdict.claim(
        &format!("each receipt was mailed once; {again} once more, after a kill between sending and marking"),
        &wrong,
    );
    verdict.claim(
        &format!("each of {} subscribers has access until {ACCESS_UNTIL}", day.access.len()),
        &access(day, &end),
    );
    let queues = &play.stack.queues;
    let mut left = Vec::new();
    for (name, url, expected) in [
        ("fulfillment queue", &queues.fulfillment, 0),
        ("receipt queue", &queues.receipt, 0),
        ("dead letters of fulfillment", &queues.fulfillment_dead_letter, poison),
        ("dead letters of receipts", &queues.receipt_dead_letter, 0),
    ] {
        let depth = play.depth(url).await?;
        if usize::try_from(depth) != Ok(expected) {
            left.push(format!("{name}: {depth} in place of {expected}"));
        }
    }
    verdict.claim(&format!("the queues are empty, and {poison} {POISON} is all that is given up"), &left);
    Ok(verdict)
}

fn events(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for event in &end.events {
        let (id, state) = (event.text("event_id"), event.text("state"));
        seen.insert(id);
        if !day.events.contains(id) {
            wrong.push(format!("{id} should not be"));
        } else if state != "processed" {
            wrong.push(format!("{id} ({}) is {state}: {}", event.text("event_type"), event.text("reason")));
        }
    }
    wrong.extend(
        day.events.iter().filter(|id| !seen.contains(id.as_str())).map(|id| format!("{id} is missing")),
    );
    wrong
}

fn movements(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &end.stock {
        let Some(order) = row.text("entry").strip_prefix("order#") else { continue };
        let (sku, order) = (row.text("sku").to_owned(), order.to_owned());
        if sku == scarce().0 {
            continue;
        }
        let moved = Moved { taken: row.number("taken"), returned: row.number("returned") };
        let key = (sku, order);
        match day.moved.get(&key) {
            Some(expected) if *expected == moved => {}
            expected => wrong.push(format!("{key:?}: {moved:?} in place of {expected:?}")),
        }
        seen.insert(key);
    }
    let missing = day.moved.keys().filter(|key| !seen.contains(*key));
    wrong.extend(missing.map(|key| format!("{key:?} is missing")));
    wrong
}

fn counters(day: &Day, end: &End) -> Vec<String> {
    let mut expected = day.shelves.clone();
    for ((sku, _), moved) in &day.moved {
        if let Some(count) = expected.get_mut(sku) {
            *count -= moved.taken - moved.returned;
        }
    }
    if let Some(count) = expected.get_mut(scarce().0) {
        *count -= sold(day);
    }
    let found = end.stock.iter().filter(|row| row.text("entry") == "counter");
    let found: BTreeMap<_, _> =
        found.map(|row| (row.text("sku").to_owned(), row.number("on_hand"))).collect();
    let differs = expected.iter().filter(|(sku, count)| found.get(*sku) != Some(count));
    differs.map(|(sku, count)| format!("{sku}: {:?} in place of {count}", found.get(sku))).collect()
}

/// How many of what is scarce can be sold.
fn sold(day: &Day) -> i64 {
    i64::try_from(day.scarce.len()).unwrap_or(i64::MAX).min(scarce().1)
}

fn short(day: &Day, end: &End) -> Vec<String> {
    let rows: Vec<_> = end
        .stock
        .iter()
        .filter(|row| row.text("sku") == scarce().0 && row.text("entry").starts_with("order#"))
        .collect();
    let taken: i64 = rows.iter().map(|row| row.number("taken")).sum();
    let mut wrong = Vec::new();
    if taken != sold(day) {
        wrong.push(format!("{taken} were taken"));
    }
    if rows.len() != day.scarce.len() {
        wrong.push(format!("there are {} movements", rows.len()));
    }
    wrong
}

fn receipts(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &end.receipts {
        let (id, order, state) = (row.text("receipt_id"), row.text("order_id"), row.text("state"));
        seen.insert(id);
        let notice = day.notices.get(id);
        match day.receipts.get(id).or(notice) {
            None => wrong.push(format!("{id} should not be")),
            Some(of) if of != order => wrong.push(format!("{id} is of {order} in place of {of}")),
            Some(_) if state == "sent" || (notice.is_some() && state == "withdrawn") => {}
            Some(_) => wrong.push(format!("{id} is {state}: {}", row.text("reason"))),
        }
    }
    wrong.extend(
        day.receipts.keys().filter(|id| !seen.contains(id.as_str())).map(|id| format!("{id} is missing")),
    );
    wrong
}

/// Holds mails against receipts: how many went out twice because a process died before its mark, and what nothing explains.
fn mailed(end: &End, mails: &[Mail], damage: &Damage, log: &str) -> (usize, Vec<String>) {
    let mut wrong = Vec::new();
    let marked: BTreeMap<_, _> = end
        .receipts
        .iter()
        .filter(|row| row.text("state") == "sent")
        .map(|row| (row.text("message_id"), row.text("receipt_id")))
        .collect();
    let sent: BTreeSet<_> = mails.iter().map(|mail| id_of(&mail.message_id)).collect();
    for (message_id, receipt_id) in &marked {
        if !sent.contains(id_of(message_id)) {
            wrong.push(format!("{receipt_id} is marked as sent, and there is no mail {message_id}"));
        }
    }
    let marked: BTreeSet<_> = marked.keys().map(|message_id| id_of(message_id)).collect();
    let seconds = |at: Timestamp| std::time::Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH));
    let mut kills: Vec<f64> = damage
        .kills
        .iter()
        .filter(|kill| kill.function == "receipts")
        .filter_map(|kill| Some(seconds(kill.at).ok()?.as_secs_f64()))
        .collect();
    let mut again = 0;
    for mail in mails.iter().filter(|mail| !marked.contains(id_of(&mail.message_id))) {
        // A receipt that was claimed more than once, or that was withdrawn after its mail had gone out.
        let row = end.receipts.iter().find(|row| {
            let often = row.number("attempts") > 1 || row.text("state") == "withdrawn";
            often && row.text("kind") == mail.kind() && mail.body_text.contains(row.text("order_id"))
        });
        let apart = |at: &f64| (at - mail.timestamp).abs();
        let nearest = kills.iter().enumerate().min_by(|one, other| apart(one.1).total_cmp(&apart(other.1)));
        let killed = nearest.filter(|(_, at)| apart(at) < APART).map(|(place, _)| place);
        match (row, killed) {
            (Some(row), Some(kill)) => {
                let after = kills.swap_remove(kill) - mail.timestamp;
                println!(
                    "    {} went out again: {after:+.3} s from the mail to the kill",
                    row.text("receipt_id")
                );
                again += 1;
            }
            (Some(row), None) if log.lines().any(|line| told_unknown(line, row.text("receipt_id"))) => {
                again += 1;
            }
            (row, _) => wrong.push(format!(
                "a mail too many, at {:.1}: {} ({}), receipt {:?}",
                mail.timestamp,
                mail.subject,
                mail.message_id,
                row.map(|row| row.text("receipt_id"))
            )),
        }
    }
    (again, wrong)
}

/// Whether a line of the log says that the mail's fate is unknown: SES's answer or the mark did not come.
fn told_unknown(line: &str, receipt_id: &str) -> bool {
    line.contains(receipt_id) && line.contains("unknown")
}

/// SES's id, without the domain that the local one puts behind it.
fn id_of(message_id: &str) -> &str {
    message_id.split('@').next().unwrap_or(message_id)
}

fn access(day: &Day, end: &End) -> Vec<String> {
    let until = ACCESS_UNTIL.parse::<Timestamp>().map_or(0, Timestamp::as_second);
    let mut found = BTreeMap::new();
    for row in &end.entitlements {
        if let Some(product) = row.text("entry").strip_prefix("product#") {
            found
                .insert((row.text("customer_id").to_owned(), product.to_owned()), row.number("access_until"));
        }
    }
    let differs = day.access.iter().filter(|key| found.get(*key) != Some(&until));
    let strange = found.keys().filter(|key| !day.access.contains(*key));
    differs
        .map(|key| format!("{key:?}: {:?}", found.get(key)))
        .chain(strange.map(|key| format!("{key:?} should not be")))
        .collect()
}
