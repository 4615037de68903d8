//! Faults, their rates, and a record of them.

use super::lag::{self, Recent};
use kit::dice::Dice;
use kit::fakes::{Call, Fate, Manner, Turn};
use kit::prelude::*;
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much of each goes wrong in one run, mostly in ten thousandths of a call.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    pub fails: u64,
    pub loses: u64,
    pub throttles: u64,
    /// A transaction conflicts with others to the last try.
    pub conflicts: u64,
    /// The SDK sends a write twice.
    pub repeats: u64,
    /// A call goes on waiting, in hundredths.
    pub waits: u64,
    pub mail: u64,
    /// The provider's API answers otherwise than well.
    pub api: u64,
    /// An index misses the last writes, or shows an older state.
    pub indexes: u64,
    /// A process is killed, at some await point.
    pub kills: u64,
    /// A process is frozen, at some await point, and goes on later.
    pub freezes: u64,
    /// An invocation's end never reaches the platform.
    pub answers: u64,
    /// A message is delivered again while it is in work.
    pub duplicates: u64,
    pub slow: u64,
    pub jumps: u64,
    /// Queues lose messages, and the sender gives up on stored events.
    pub drops: u64,
    /// After how many days all that is announced comes at once; 0 when it comes as it is announced.
    pub crowds: u64,
    /// How far the provider's API may be behind what it announces of a sale.
    pub api_lag: Duration,
    /// The timers of a woken process know how late it is.
    pub timers_know: bool,
    /// Expired events are deleted.
    pub forgets: bool,
    /// After how many days they have: `EventRetentionDays`.
    pub retention: i64,
    /// How many of SES's reports reach us, in hundredths.
    pub reports: u64,
    /// How many mails come back, are complained of or are not let out, in hundredths.
    pub troubles: u64,
    /// How many webhooks never come, in hundredths, of those that a list shows.
    pub vanishes: u64,
    /// How often the provider's lists are compared in ten days while webhooks are still on their way.
    pub reconciles: u64,
    pub forgeries: bool,
}

impl Weather {
    /// The weather of a seed. One in sixteen is fair, so that the rest of the kit is known to be right.
    pub fn of(dice: &mut Dice) -> Self {
        let mut some = |most: &[u64]| dice.one_of(most);
        if some(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]) == 1 {
            return Self {
                waits: 20,
                timers_know: true,
                retention: 90,
                reports: 100,
                ..Self::default()
            };
        }
        Self {
            fails: some(&[0, 20, 100, 400]),
            loses: some(&[0, 20, 100, 400]),
            throttles: some(&[0, 20, 100, 300]),
            conflicts: some(&[0, 0, 200, 1_500]),
            repeats: some(&[0, 50, 500, 2_000]),
            waits: some(&[0, 20, 40, 60]),
            mail: some(&[0, 0, 300, 1_500]),
            api: some(&[0, 100, 500, 2_000]),
            indexes: some(&[0, 1_000, 5_000]),
            kills: some(&[0, 10, 50, 150]),
            freezes: some(&[0, 10, 40, 100]),
            answers: some(&[0, 50, 200, 800]),
            duplicates: some(&[0, 100, 500, 2_000]),
            slow: some(&[0, 0, 20, 100]),
            jumps: some(&[0, 0, 2, 10]),
            drops: some(&[0, 0, 0, 300]),
            crowds: some(&[0, 0, 0, 12, 40]),
            api_lag: Duration::from_secs(some(&[0, 0, 20])),
            timers_know: some(&[0, 1]) == 1,
            forgets: some(&[0, 1]) == 1,
            forgeries: some(&[0, 1]) == 1,
            retention: i64::try_from(some(&[2, 30, 90])).unwrap_or(90),
            reports: some(&[0, 70, 100, 100]),
            troubles: some(&[0, 5, 20]),
            vanishes: some(&[0, 0, 10, 30]),
            reconciles: some(&[0, 1]),
        }
    }
}

impl Weather {
    /// Only late, repeated and disordered events: no other fault.
    pub fn is_fair(&self) -> bool {
        let Self {
            fails,
            loses,
            throttles,
            conflicts,
            repeats,
            mail,
            api,
            indexes,
            kills,
            freezes,
            answers,
            duplicates,
            slow,
            jumps,
            drops,
            api_lag,
            ..
        } = self;
        let calls = fails + loses + throttles + conflicts + repeats + mail + api + indexes;
        let others = kills + freezes + answers + duplicates + slow + jumps + drops;
        calls + others == 0 && api_lag.is_zero()
    }
}

/// The services that can be away, by the beginnings of their calls' names.
pub const SERVICES: [&[&str]; 13] = [
    &[
        "events.",
        "event_desk.",
        "commits.",
        "orders.",
        "receipts.",
        "entitlements.",
        "marks.",
        "backlog.",
    ],
    &[
        "events.",
        "event_desk.",
        "backlog.stored",
        "backlog.committed",
        "backlog.take_event",
    ],
    &[
        "receipts.",
        "backlog.pending",
        "backlog.claimed",
        "backlog.due",
        "backlog.take_receipt",
    ],
    &["commits."],
    &["orders."],
    &["entitlements."],
    &["marks."],
    &[
        "fulfillment_queue.",
        "receipt_queue.",
        "queue.",
        "dead_letters.",
    ],
    &["fulfillment_queue."],
    &["receipt_queue."],
    &["dead_letters."],
    &["mailer."],
    &["api."],
];

/// A service that is away until some time.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// How the names of its calls begin.
    pub services: &'static [&'static str],
    pub until: Timestamp,
}

/// Everything that is counted: a test sees to it that each of these happens, and nothing else.
pub const COUNTED: [&str; 51] = [
    "SES is away, surely not sent",
    "SES refuses an address",
    "a mail's fate is unknown, not sent",
    "a mail's fate is unknown, sent",
    "addresses not written to any more",
    "answers lost",
    "batches that failed in part",
    "calls failed before",
    "calls into an outage",
    "calls that took seconds",
    "calls throttled",
    "deliveries in a crowd",
    "ended events forgotten",
    "events made up for, of what no webhook told",
    "forgeries",
    "forgotten events that came again",
    "held mails settled by SES's feedback",
    "index reads that came too early",
    "index reads that showed what was so before",
    "invocations whose end nobody heard of",
    "jumps of the clock",
    "mails bounced for a while",
    "mails bounced for good",
    "mails complained of",
    "mails into an outage",
    "mails of which SES tells nothing",
    "mails that SES did not let out",
    "messages delivered while worked on",
    "messages given up on, and redriven",
    "messages lost by a queue",
    "outages",
    "parked events, and released",
    "processes ended by the platform, out of time",
    "processes frozen, and woken later",
    "processes killed",
    "receipts settled by SES's feedback",
    "reports given up on, and redriven",
    "reports that came twice",
    "reports that never came",
    "runs of reconcile",
    "runs of sweep",
    "stored deliveries that nobody sends again",
    "the API answers 404",
    "the API answers 429",
    "the API answers 503",
    "the API is behind what it announces",
    "the API refuses our key",
    "the API talks nonsense",
    "transactions in conflict",
    "webhooks that never came",
    "writes sent twice by the SDK",
];

/// The current faults, and their record.
#[derive(Debug)]
pub struct Sky {
    dice: Dice,
    weather: Weather,
    pub outages: Vec<Outage>,
    pub calm: bool,
    pub now: Timestamp,
    pub flight: u64,
    /// A row may have changed since the last look.
    pub wrote: bool,
    pub disturbed: BTreeSet<u64>,
    /// The invocations that the provider's API or an index misled.
    pub misled: BTreeSet<u64>,
    /// The changes of the last seconds.
    pub recent: Recent,
    pub refused: BTreeSet<u64>,
    /// How often each thing went wrong.
    pub struck: BTreeMap<&'static str, u64>,
    pub calls: u64,
    story: DefaultHasher,
}

impl Sky {
    fn new(dice: Dice, weather: Weather) -> Self {
        Self {
            dice,
            weather,
            outages: Vec::new(),
            calm: false,
            now: Timestamp::UNIX_EPOCH,
            flight: 0,
            wrote: false,
            disturbed: BTreeSet::new(),
            misled: BTreeSet::new(),
            recent: Recent::default(),
            refused: BTreeSet::new(),
            struck: BTreeMap::new(),
            calls: 0,
            story: DefaultHasher::new(),
        }
    }

    /// A print of every call so far: when, whose, and what became of it.
    pub fn story(&self) -> u64 {
        self.story.finish()
    }

    pub fn is_fair(&self) -> bool {
        self.weather.is_fair()
    }

    pub fn count(&mut self, what: &'static str) {
        *self.struck.entry(what).or_default() += 1;
    }

    fn strikes(&mut self, what: &'static str, fault: Fault) -> Turn {
        self.count(what);
        self.disturbed.insert(self.flight);
        Turn::Strikes(fault)
    }

    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        let turn = self.decide(call, kept);
        (self.now, self.flight, call.name, format!("{turn:?}")).hash(&mut self.story);
        turn
    }

    /// A call to a service that is away.
    fn no_connection(&mut self, call: &str, kept: &mut Kept) -> Turn {
        if call != "mailer.send" {
            return self.strikes("calls into an outage", Fault::FailBefore);
        }
        // There is no connection: it is certain that nothing went out.
        self.count("mails into an outage");
        self.disturbed.insert(self.flight);
        let not_sent = SendError::NotSent(away("SES", None));
        kept.mail_faults.push_back(not_sent);
        Turn::Goes
    }

    /// The provider's API answers something else than it knows.
    fn api_answers(&mut self, kept: &mut Kept) -> Turn {
        let away = |seconds: Option<u64>| {
            ReadError::Transient(away("Flex", seconds.map(Duration::from_secs)))
        };
        let (what, answer) = match self.dice.below(6) {
            0 => ("the API answers 503", away(None)),
            1 => ("the API answers 429", away(Some(70))),
            2 | 3 => {
                let code = Some("not_found".to_owned());
                let answer = ReadError::Permanent { status: 404, code };
                ("the API answers 404", answer)
            }
            4 => {
                let answer = ReadError::NotUnderstood("told to".to_owned());
                ("the API talks nonsense", answer)
            }
            _ => {
                let answer = ReadError::KeyRefused { status: 401 };
                ("the API refuses our key", answer)
            }
        };
        self.count(what);
        self.disturbed.insert(self.flight);
        let misleads = matches!(
            answer,
            ReadError::Permanent { .. } | ReadError::NotUnderstood(_)
        );
        if misleads {
            self.misled.insert(self.flight);
        }
        kept.read_faults.push_back(answer);
        Turn::Goes
    }

    /// SES does not take a mail, or does not say so.
    fn ses_answers(&mut self, kept: &mut Kept) -> Turn {
        let answer = match self.dice.below(4) {
            0 => {
                self.count("SES refuses an address");
                self.refused.insert(self.flight);
                SendError::Refused("told to".to_owned())
            }
            1 => {
                self.count("SES is away, surely not sent");
                self.disturbed.insert(self.flight);
                SendError::NotSent(away("SES", None))
            }
            2 => return self.strikes("a mail's fate is unknown, not sent", Fault::FailBefore),
            _ => return self.strikes("a mail's fate is unknown, sent", Fault::FailAfter),
        };
        kept.mail_faults.push_back(answer);
        Turn::Goes
    }

    fn decide(&mut self, Call { name: call, manner }: Call, kept: &mut Kept) -> Turn {
        // One write a step: every state of a row is looked at, however many calls go on at once.
        if self.wrote || self.dice.percent(self.weather.waits) {
            return Turn::Waits;
        }
        self.calls += 1;
        self.wrote |= manner != Manner::Reads;
        if self.calm {
            return Turn::Goes;
        }
        let is_away = |outage: &Outage| {
            self.now < outage.until && outage.services.iter().any(|name| call.starts_with(name))
        };
        if self.outages.iter().any(is_away) {
            return self.no_connection(call, kept);
        }
        let weather = self.weather.clone();
        let api = call.starts_with("api.");
        if api && self.dice.rarely(weather.api) {
            return self.api_answers(kept);
        }
        if call == "mailer.send" && self.dice.rarely(weather.mail) {
            return self.ses_answers(kept);
        }
        if call == "commits.commit" && self.dice.rarely(weather.conflicts) {
            return self.strikes("transactions in conflict", Fault::Conflict);
        }
        if call == "entitlements.customer_of" && self.dice.rarely(weather.indexes) {
            self.count("index reads that came too early");
            self.misled.insert(self.flight);
            kept.index_lags.set(true);
            return Turn::Goes;
        }
        if lag::READS.contains(&call) && self.dice.rarely(weather.indexes) {
            let behind = self.dice.between(Duration::from_secs(1), lag::MOST);
            let before = self
                .recent
                .before(self.now.saturating_sub(behind).unwrap_or(self.now));
            if !(before.events.is_empty() && before.receipts.is_empty()) {
                self.count("index reads that showed what was so before");
                kept.index_shows.replace(before);
                return Turn::Goes;
            }
        }
        // A mail is never sent again by the SDK, and what a transaction does its token does once.
        if manner == Manner::Repeats && self.dice.rarely(weather.repeats) {
            return self.strikes("writes sent twice by the SDK", Fault::Twice);
        }
        if self.dice.rarely(weather.fails) {
            return self.strikes("calls failed before", Fault::FailBefore);
        }
        if self.dice.rarely(weather.loses) {
            return self.strikes("answers lost", Fault::FailAfter);
        }
        if call != "mailer.send" && self.dice.rarely(weather.throttles) {
            return self.strikes("calls throttled", Fault::Throttled);
        }
        Turn::Goes
    }
}

fn away(service: &'static str, retry_after: Option<Duration>) -> RetryableError {
    RetryableError::Away {
        service,
        cause: "told to be".to_owned(),
        retry_after,
    }
}

/// A handle on the sky, which the world asks at every call.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<Sky>>);

impl Faults {
    /// The faults of these dice in that weather.
    pub fn new(dice: Dice, weather: Weather) -> Self {
        Self(Arc::new(Mutex::new(Sky::new(dice, weather))))
    }

    pub fn sky(&self) -> MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fate for Faults {
    fn turn(&mut self, call: Call, kept: &mut Kept) -> Turn {
        self.sky().turn(call, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_seed_in_sixteen_has_fair_weather() {
        let is_fair = |seed: &u64| Weather::of(&mut Dice::of(*seed, 2)).is_fair();
        let fair = (1..=240).filter(is_fair).count();
        assert!((8..=22).contains(&fair), "{fair} of 240");
    }
}
