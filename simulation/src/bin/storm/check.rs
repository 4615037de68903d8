//! Compares the planned day with tables, queues and mails.

use crate::{
    chaos::{Blow, Damage},
    day::{Day, Moved, What, scarce},
    faults::{self, Injected},
    mailbox::Mail,
    tables::{Desk, POISON, Row, Settled, Why, counted},
};
use domain::sale::{
    order::{Order, Shortfall},
    stock::Movement,
};
use kit::prelude::*;
use kit::{play::PlayError, stack::TableNames};
use std::path::Path;

/// Until when every life gives access: the end of the last period that was paid for.
const ACCESS_UNTIL: &str = "2026-04-10T09:00:00Z";
/// The longest time between a kill and the mail that it left unmarked, in seconds. The mark follows at once, or a
/// little later on a busy machine. A mail that was on its way when its sender died is taken after that.
const APART: f64 = 0.5;
/// At most one of this many deliveries may be given up. While Flex's API is away, three tries follow within five
/// seconds: about one event in nine loses them. A kill, or the next outage, costs at most one try in five. One event in
/// 225 therefore loses the other two as well. A batch shares the outcome of its events, and a busy machine has more
/// waiting ones: four times as many.
const GIVEN_UP: usize = 50;
/// The limit of parked events among those that need an order: one in this many. The order took longer than 85 seconds,
/// because its own event was killed twice meanwhile, or refused four times.
const PARKED: usize = 20;
/// The classes that a storm can cause in an event that is given up: Flex's API was away, the time was over,
/// another function was quicker, or its order was missing.
const STORMY: [Class; 4] = [
    Class::Away,
    Class::OutOfTime,
    Class::Contended,
    Class::TooEarly,
];
/// The most defects that are shown.
const SHOWN: usize = 8;

/// The result of the checks.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) claims: usize,
    pub(crate) broken: usize,
    /// Mails beyond one for each receipt, each explained by a kill between sending and marking.
    pub(crate) again: usize,
}

impl Verdict {
    fn claim(&mut self, what: &str, wrong: impl IntoIterator<Item = String>) {
        let wrong: Vec<String> = wrong.into_iter().collect();
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

/// The plan and the events of a run.
#[derive(Debug)]
pub(crate) struct Happened<'a> {
    /// How many deliveries of each kind were planned, and how many were taken.
    pub(crate) planned: &'a BTreeMap<What, usize>,
    pub(crate) delivered: &'a BTreeMap<What, usize>,
    pub(crate) damage: &'a Damage,
    /// Messages given up and events parked on the way.
    pub(crate) settled: &'a Settled,
    /// How many may have had to be given up, Flex's API being away for too long.
    pub(crate) too_late: usize,
    /// Nothing was to go wrong.
    pub(crate) calm: bool,
    /// How many faults AWS had for the functions, where it was to have some.
    pub(crate) injected: Option<&'a Injected>,
    /// The emulator's record of its decisions.
    pub(crate) decisions: &'a Path,
}

/// Checks that there was a storm: the other promises must hold in bad weather.
fn storm(happened: &Happened<'_>, verdict: &mut Verdict) {
    let Happened {
        planned,
        delivered,
        damage,
        calm,
        ..
    } = happened;
    let count = |of: &BTreeMap<What, usize>, what| of.get(&what).copied().unwrap_or_default();
    let [again, twins] = [What::Duplicate, What::Twin].map(|what| count(delivered, what));
    let fewer = [
        What::Sale,
        What::Refund,
        What::Life,
        What::Duplicate,
        What::Twin,
    ]
    .map(|what| {
        let (planned, delivered) = (count(planned, what), count(delivered, what));
        let is_so = planned == delivered && planned > 0;
        (!is_so).then(|| format!("{what:?}: {delivered} of {planned}"))
    });
    verdict.claim(
        &format!(
            "all was delivered; {again} for the second time, and {twins} sales under a second id"
        ),
        fewer.into_iter().flatten(),
    );
    if let Some(injected) = happened.injected {
        faults(injected, happened.decisions, verdict);
        return;
    }
    if *calm {
        return;
    }
    let at_work = ["intake", "fulfillment", "receipts"]
        .map(|function| (function, damage.killed_at_work(function)));
    let spared = at_work.iter().filter(|(_, killed)| *killed == 0);
    verdict.claim(
        &format!(
            "killed with an invocation that never ended: {}",
            at_work
                .map(|(function, killed)| format!("{function} {killed} times"))
                .join(", ")
        ),
        spared.map(|(function, _)| format!("{function} never was")),
    );
    let restarts = [
        (
            "Flex's API",
            damage.stand_in_restarts,
            Blow::StandInAway.planned(),
        ),
        (
            "all of AWS",
            damage.emulator_restarts,
            Blow::AllAway.planned(),
        ),
    ];
    let missed = restarts
        .iter()
        .filter(|(_, restarts, planned)| restarts != planned);
    verdict.claim(
        &restarts
            .map(|(what, _, planned)| format!("{what} was restarted {planned} times"))
            .join(", "),
        missed.map(|(what, restarts, _)| format!("{what}: {restarts} times")),
    );
}

/// Checks that every operation met every kind of fault, and that no operation was left out.
fn faults(injected: &Injected, decisions: &Path, verdict: &mut Verdict) {
    for ((operation, kind), count) in injected {
        println!("    {operation} met {kind:?} {count} times");
    }
    let count: usize = injected.values().sum();
    verdict.claim(
        &format!("AWS had {count} faults for the functions, each kind for each operation"),
        faults::spared(injected),
    );
    verdict.claim(
        "every operation that a function called was among them",
        faults::unknown(decisions)
            .unwrap_or_else(|error| vec![format!("the decisions cannot be read: {error}")]),
    );
}

/// Checks that an operator had little to do, and that the storm explains all of it. Given-up messages and parked events
/// are handled again before any other check, and would otherwise never be missed.
fn set_aside(happened: &Happened<'_>, verdict: &mut Verdict) {
    let Happened {
        planned,
        settled,
        too_late,
        calm,
        ..
    } = happened;
    let count = |what| planned.get(&what).copied().unwrap_or_default();
    let all: usize = planned.values().sum();
    let need_an_order = count(What::Refund) + count(What::Life);
    let at_most = |of: usize, one_in: usize| {
        if *calm {
            0
        } else {
            of.div_ceil(one_in) + too_late
        }
    };
    let (may_be_given_up, may_be_parked) = (at_most(all, GIVEN_UP), at_most(need_an_order, PARKED));

    let too_many = |count: usize, most: usize, whys: &BTreeMap<String, Why>| {
        let beyond = count.checked_sub(most).filter(|beyond| *beyond > 0);
        let facts = beyond
            .map(|beyond| [vec![format!("{beyond} too many")], counted(whys.values())].concat());
        facts.unwrap_or_default()
    };
    verdict.claim(
        &format!(
            "of {all} deliveries {} were given up and sent again, no more than {may_be_given_up}",
            settled.redriven
        ),
        too_many(settled.redriven, may_be_given_up, &settled.overdue),
    );
    let strange = settled
        .overdue
        .iter()
        .filter(|(_, why)| why.class.is_some_and(|class| !STORMY.contains(&class)));
    verdict.claim(
        &format!(
            "each of {} that had come to no end was killed or kept from Flex's API",
            settled.overdue.len()
        ),
        strange.map(|(id, why)| format!("{id}, {why}")),
    );
    let parked = settled.released.len();
    verdict.claim(
        &format!("of {need_an_order} events of refunds and subscriptions {parked} were parked and released, no more than {may_be_parked}"),
        too_many(parked, may_be_parked, &settled.released),
    );
    let is_about_one =
        |why: &Why| why.what.starts_with("refund.") || why.what.starts_with("invoice.");
    let strange = settled
        .released
        .iter()
        .filter(|(_, why)| why.class != Some(Class::OrderUnknown) || !is_about_one(why));
    verdict.claim(
        &format!(
            "each of {parked} parked events was a refund or an invoice whose order had not come"
        ),
        strange.map(|(id, why)| format!("{id}, {why}")),
    );
}

/// The present state of everything.
struct End {
    events: Vec<Row>,
    orders: Vec<Order>,
    /// The counters, by SKU.
    counters: BTreeMap<String, i64>,
    movements: Vec<Movement>,
    receipts: Vec<Row>,
    entitlements: Vec<Row>,
}

impl End {
    async fn read(desk: &Desk, tables: &TableNames) -> Result<Self, PlayError> {
        let orders = desk.rows(&tables.orders).await?;
        let stock = desk.rows(&tables.stock).await?;
        let counters = stock.iter().filter(|row| row.text("entry") == "counter");
        let movements = stock
            .iter()
            .filter(|row| row.text("entry").starts_with("order#"));
        Ok(Self {
            events: desk.rows(&tables.events).await?,
            orders: orders.iter().map(Row::read).collect::<Result<_, _>>()?,
            counters: counters
                .map(|row| (row.text("sku").to_owned(), row.number("on_hand")))
                .collect(),
            movements: movements.map(Row::read).collect::<Result<_, _>>()?,
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
    happened: &Happened<'_>,
    mails: &[Mail],
    log: &str,
    poison: usize,
) -> Result<Verdict, PlayError> {
    let end = End::read(desk, &play.stack.tables).await?;
    let mut verdict = Verdict::default();
    storm(happened, &mut verdict);
    set_aside(happened, &mut verdict);
    verdict.claim(
        &format!(
            "each of {} events is stored once and processed, and no other",
            day.events.len()
        ),
        events(day, &end),
    );
    let orders: BTreeSet<_> = end
        .orders
        .iter()
        .map(|order| order.order_id.to_string())
        .collect();
    let missing = day
        .orders
        .difference(&orders)
        .map(|order| format!("{order} is missing"));
    let strange = orders
        .difference(&day.orders)
        .map(|order| format!("{order} should not be"));
    verdict.claim(
        &format!(
            "each of {} sales is one order, and nothing else is",
            day.orders.len()
        ),
        missing.chain(strange),
    );
    verdict.claim(
        &format!(
            "each of {} lines moved its goods once, and refunds put theirs back once",
            day.moved.len()
        ),
        movements(day, &end),
    );
    verdict.claim(
        "each counter is what lay there, less what was sold, plus what came back",
        counters(day, &end),
    );
    verdict.claim(
        &format!(
            "of {} wanted pieces of what is scarce, {} were sold",
            day.scarce.len(),
            sold(day)
        ),
        short(day, &end),
    );
    verdict.claim(
        &format!(
            "what was missing of it is on the {} orders that lack it, and on no other",
            lacking(day)
        ),
        shortfalls(day, &end),
    );
    verdict.claim(
        &format!(
            "each of {} receipts is sent, and no other",
            day.receipts.len()
        ),
        receipts(day, &end),
    );
    let (again, wrong) = mailed(&end, mails, happened.damage, log);
    verdict.again = again;
    verdict.claim(
        &format!(
            "each receipt was mailed once; {again} once more, since the outcome of the first mail was unknown"
        ),
        wrong,
    );
    verdict.claim(
        &format!(
            "each of {} subscribers has access until {ACCESS_UNTIL}",
            day.access.len()
        ),
        access(day, &end),
    );
    verdict.claim(
        &format!("the queues are empty, and {poison} {POISON} is all that stays given up"),
        left(play, poison).await?,
    );
    Ok(verdict)
}

/// The queues with unexpected contents.
async fn left(play: &Play, poison: usize) -> Result<Vec<String>, PlayError> {
    let queues = &play.stack.queues;
    let mut left = Vec::new();
    for (name, url, expected) in [
        ("fulfillment queue", &queues.fulfillment, 0),
        ("receipt queue", &queues.receipt, 0),
        (
            "dead letters of fulfillment",
            &queues.fulfillment_dead_letter,
            poison,
        ),
        ("dead letters of receipts", &queues.receipt_dead_letter, 0),
        ("feedback queue", &queues.feedback, 0),
        ("dead letters of feedback", &queues.feedback_dead_letter, 0),
    ] {
        let depth = play.depth(url).await?;
        if usize::try_from(depth) != Ok(expected) {
            left.push(format!("{name}: {depth} in place of {expected}"));
        }
    }
    Ok(left)
}

fn events(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for event in &end.events {
        let (id, state) = (event.text("event_id"), event.text("state"));
        seen.insert(id);
        // In a run of an hour, reconcile recovers late events. They have no second effect.
        if !day.events.contains(id) && !id.starts_with("reconciled:") {
            wrong.push(format!("{id} should not be"));
        } else if state != "processed" {
            wrong.push(format!(
                "{id} ({}) is {state}: {}",
                event.text("event_type"),
                event.text("reason")
            ));
        }
    }
    wrong.extend(
        day.events
            .iter()
            .filter(|id| !seen.contains(id.as_str()))
            .map(|id| format!("{id} is missing")),
    );
    wrong
}

fn movements(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let plenty = |movement: &&Movement| movement.sku.as_str() != scarce().0;
    for movement in end.movements.iter().filter(plenty) {
        let moved = Moved {
            deducted: movement.deducted,
            restocked: movement.restocked,
        };
        let key = (movement.sku.to_string(), movement.order_id.to_string());
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
    let mut expected = day.stock_levels.clone();
    for ((sku, _), moved) in &day.moved {
        if let Some(count) = expected.get_mut(sku) {
            *count -= moved.deducted - moved.restocked;
        }
    }
    if let Some(count) = expected.get_mut(scarce().0) {
        *count -= sold(day);
    }
    let found = &end.counters;
    let differs = expected
        .iter()
        .filter(|(sku, count)| found.get(*sku) != Some(count));
    differs
        .map(|(sku, count)| format!("{sku}: {:?} in place of {count}", found.get(sku)))
        .collect()
}

/// The number of scarce pieces that can be sold.
fn sold(day: &Day) -> i64 {
    i64::try_from(day.scarce.len())
        .unwrap_or(i64::MAX)
        .min(scarce().1)
}

fn short(day: &Day, end: &End) -> Vec<String> {
    let rows: Vec<_> = end
        .movements
        .iter()
        .filter(|movement| movement.sku.as_str() == scarce().0)
        .collect();
    let deducted: i64 = rows.iter().map(|movement| movement.deducted).sum();
    let mut wrong = Vec::new();
    if deducted != sold(day) {
        wrong.push(format!("{deducted} were taken"));
    }
    if rows.len() != day.scarce.len() {
        wrong.push(format!("there are {} movements", rows.len()));
    }
    wrong
}

/// The number of orders that get no scarce piece.
fn lacking(day: &Day) -> usize {
    day.scarce
        .len()
        .saturating_sub(usize::try_from(sold(day)).unwrap_or_default())
}

/// Stock never goes below zero without a recorded shortfall: the missing pieces of a movement are on its order.
fn shortfalls(day: &Day, end: &End) -> Vec<String> {
    let short = end.movements.iter().filter(|movement| movement.short() > 0);
    let lacking: BTreeMap<_, _> = short
        .map(|movement| {
            let shortfall = Shortfall {
                sku: movement.sku.clone(),
                missing: movement.short(),
                filled_at: None,
            };
            (movement.order_id.as_str(), vec![shortfall])
        })
        .collect();
    let mut wrong = Vec::new();
    for order in &end.orders {
        let (found, id) = (&order.shortfalls, order.order_id.as_str());
        let expected = lacking.get(id).cloned().unwrap_or_default();
        if *found != expected {
            wrong.push(format!("{id}: {found:?} in place of {expected:?}"));
        }
    }
    if lacking.len() != self::lacking(day) {
        wrong.push(format!("{} orders lack something", lacking.len()));
    }
    let others = lacking.keys().filter(|order| !day.scarce.contains(**order));
    wrong.extend(others.map(|order| format!("{order} lacks what there is enough of")));
    wrong
}

fn receipts(day: &Day, end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &end.receipts {
        let (id, order, state) = (
            row.text("receipt_id"),
            row.text("order_id"),
            row.text("state"),
        );
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
        day.receipts
            .keys()
            .filter(|id| !seen.contains(id.as_str()))
            .map(|id| format!("{id} is missing")),
    );
    wrong
}

/// Holds mails against receipts: how many went out twice because a process died before its mark, and what
/// nothing explains.
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
            wrong.push(format!(
                "{receipt_id} is marked as sent, and there is no mail {message_id}"
            ));
        }
    }
    let marked: BTreeSet<_> = marked.keys().map(|message_id| id_of(message_id)).collect();
    let seconds =
        |at: Timestamp| std::time::Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH));
    let mut kills: Vec<f64> = damage
        .kills
        .iter()
        .filter(|kill| kill.function == "receipts" && kill.at_work)
        .filter_map(|kill| Some(seconds(kill.at).ok()?.as_secs_f64()))
        .collect();
    let mut again = 0;
    for mail in mails
        .iter()
        .filter(|mail| !marked.contains(id_of(&mail.message_id)))
    {
        // A receipt that was leased more than once, or that was withdrawn after its mail had gone out.
        let row = end.receipts.iter().find(|row| {
            let often = row.number("attempts") > 1 || row.text("state") == "withdrawn";
            often
                && row.text("kind") == mail.kind()
                && mail.body_text.contains(row.text("order_id"))
        });
        let apart = |at: &f64| (at - mail.timestamp).abs();
        let nearest = kills
            .iter()
            .enumerate()
            .min_by(|one, other| apart(one.1).total_cmp(&apart(other.1)));
        let killed = nearest
            .filter(|(_, at)| apart(at) < APART)
            .map(|(place, _)| place);
        match (row, killed) {
            (Some(row), Some(kill)) => {
                let after = kills.swap_remove(kill) - mail.timestamp;
                println!(
                    "    {} went out again: {after:+.3} s from the mail to the kill",
                    row.text("receipt_id")
                );
                again += 1;
            }
            (Some(row), None)
                if log
                    .lines()
                    .any(|line| told_unknown(line, row.text("receipt_id"))) =>
            {
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

/// A line of the log says that the mail has an unknown outcome: SES's answer or the mark did not come.
fn told_unknown(line: &str, receipt_id: &str) -> bool {
    line.contains(receipt_id) && line.contains("unknown")
}

/// SES's id, without the domain that the local one puts behind it.
fn id_of(message_id: &str) -> &str {
    message_id.split('@').next().unwrap_or(message_id)
}

fn access(day: &Day, end: &End) -> Vec<String> {
    let until = ACCESS_UNTIL
        .parse::<Timestamp>()
        .map_or(0, Timestamp::as_second);
    let mut found = BTreeMap::new();
    for row in &end.entitlements {
        if let Some(product) = row.text("entry").strip_prefix("product#") {
            found.insert(
                (row.text("customer_id").to_owned(), product.to_owned()),
                row.number("access_until"),
            );
        }
    }
    let differs = day
        .access
        .iter()
        .filter(|key| found.get(*key) != Some(&until));
    let strange = found.keys().filter(|key| !day.access.contains(*key));
    differs
        .map(|key| format!("{key:?}: {:?}", found.get(key)))
        .chain(strange.map(|key| format!("{key:?} should not be")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::Kill;

    fn why(what: &str, class: Option<Class>) -> Why {
        Why {
            what: what.to_owned(),
            class,
            reason: "why".to_owned(),
        }
    }

    fn of(count: usize, why: &Why) -> BTreeMap<String, Why> {
        (0..count).map(|n| (n.to_string(), why.clone())).collect()
    }

    /// A day on which all that was planned was delivered.
    fn happened<'a>(
        planned: &'a BTreeMap<What, usize>,
        damage: &'a Damage,
        settled: &'a Settled,
    ) -> Happened<'a> {
        Happened {
            planned,
            delivered: planned,
            damage,
            settled,
            too_late: 0,
            calm: false,
            injected: None,
            decisions: Path::new(""),
        }
    }

    /// How many claims about what was set aside are broken, of a thousand deliveries.
    fn broken(settled: &Settled, too_late: usize, calm: bool) -> usize {
        let planned = BTreeMap::from([(What::Sale, 800), (What::Refund, 180), (What::Life, 20)]);
        let damage = Damage::default();
        let happened = Happened {
            too_late,
            calm,
            ..happened(&planned, &damage, settled)
        };
        let mut verdict = Verdict::default();
        set_aside(&happened, &mut verdict);
        verdict.broken
    }

    #[test]
    fn a_few_that_were_given_up_or_parked_are_a_storm_and_more_are_a_fault() {
        let (letter, early) = (
            why("refund.created", Some(Class::Away)),
            why("refund.created", Some(Class::OrderUnknown)),
        );
        let settled = |given_up: usize, parked: usize| Settled {
            redriven: given_up,
            overdue: of(given_up, &letter),
            released: of(parked, &early),
        };
        assert_eq!(broken(&settled(20, 10), 0, false), 0);
        assert_eq!(broken(&settled(21, 10), 0, false), 1);
        assert_eq!(broken(&settled(20, 11), 0, false), 1);
        assert_eq!(broken(&settled(800, 200), 0, false), 2);
        assert_eq!(
            broken(&settled(800, 200), 800, false),
            0,
            "while Flex's API was away for longer than all tries"
        );
        assert_eq!(broken(&settled(0, 0), 0, true), 0);
        assert_eq!(broken(&settled(1, 1), 0, true), 2, "in calm weather");
    }

    #[test]
    fn what_no_storm_explains_is_a_fault_even_once() {
        let parked = |why: Why| Settled {
            released: of(1, &why),
            ..Settled::default()
        };
        let given_up = |class| Settled {
            overdue: of(1, &why("refund.created", class)),
            ..Settled::default()
        };
        for (what, class, expected) in [
            ("refund.created", Class::NotRead, 1),
            ("refund.created", Class::NotComplete, 1),
            ("refund.created", Class::NoSubject, 1),
            ("refund.created", Class::OtherBody, 1),
            ("checkout.session.completed", Class::OrderUnknown, 1),
            ("invoice.paid", Class::OrderUnknown, 0),
        ] {
            let settled = parked(why(what, Some(class)));
            assert_eq!(broken(&settled, 0, false), expected, "{what}, {class}");
        }
        for class in [Class::Fault, Class::SetUp, Class::Missing] {
            assert_eq!(broken(&given_up(Some(class)), 0, false), 1, "{class}");
        }
        assert_eq!(broken(&given_up(None), 0, false), 0);
    }

    #[test]
    fn kills_at_rest_are_no_kills_at_work() {
        let planned = [
            What::Sale,
            What::Refund,
            What::Life,
            What::Duplicate,
            What::Twin,
        ]
        .map(|what| (what, 1))
        .into();
        let broken = |kills: &[(&str, bool)]| {
            let kill = |(function, at_work): &(&str, bool)| Kill {
                function: (*function).to_owned(),
                at: Timestamp::now(),
                at_work: *at_work,
            };
            let damage = Damage {
                kills: kills.iter().map(kill).collect(),
                killed_at_rest: 30,
                stand_in_restarts: Blow::StandInAway.planned(),
                emulator_restarts: Blow::AllAway.planned(),
                ..Damage::default()
            };
            let settled = Settled::default();
            let mut verdict = Verdict::default();
            storm(&happened(&planned, &damage, &settled), &mut verdict);
            verdict.broken
        };
        let all = [("intake", true), ("fulfillment", true), ("receipts", true)];
        assert_eq!(broken(&all), 0);
        assert_eq!(broken(&[]), 1);
        assert_eq!(broken(&all.map(|(function, _)| (function, false))), 1);
        assert_eq!(broken(&all[..2]), 1);
    }
}
