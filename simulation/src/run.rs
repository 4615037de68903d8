//! One story, step by step: the next actor, its view of the world, and the result.
#![expect(
    clippy::indexing_slicing,
    reason = "a place in a list that was just looked up"
)]

mod ending;
mod provider;
mod queues;

use super::{
    Stage,
    check::{By, Seen, hold},
    end::{self, End},
    faults::{Faults, Outage, SERVICES, Weather},
    flint_shop::plan::{Fate, FlintOrder},
    later,
    patience::Attempt,
    plan::Plan,
    reports::{self, Mailed},
    stats::Stats,
};
use announcements::Call;
use aws::batch::Nameless;
use aws_lambda_events::event::sqs::SqsBatchResponse;
use domain::{
    sale::hold::Hold,
    upkeep::recovery::{Count, Reconciled},
};
use kit::prelude::*;
use kit::{
    dice::Dice,
    drive::{JOBS_A_BATCH, RECEIPTS_A_BATCH, RECONCILE_LASTS, REPORTS_A_BATCH, SWEEP_LASTS},
    ses::Taken,
    sqs::{Received, Sqs},
};
use queues::delivery_failure;
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Svix's schedule of resends (<https://docs.svix.com/retries>).
const RESENDS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];
/// How many invocations of one function there are at once.
const MOST_FLIGHTS: usize = 3;
/// Longer than any event is kept.
const LONGER_THAN_KEPT: Duration = Duration::from_hours(100 * 24);
/// Reconcile ignores younger things.
const NOT_YOUNG: Duration = Duration::from_mins(16);
/// No story takes more steps, by far.
const MOST_STEPS: u64 = 2_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Jobs,
    Receipts,
    Reports,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Jobs, Self::Receipts, Self::Reports];

    /// How many messages a batch holds at most.
    fn at_once(self) -> usize {
        match self {
            Self::Jobs => JOBS_A_BATCH,
            Self::Reports => REPORTS_A_BATCH,
            Self::Receipts => RECEIPTS_A_BATCH,
        }
    }
}

/// How an invocation came to its end.
enum Done {
    /// A request was answered with this status.
    Answered(u16),
    Batched(Result<SqsBatchResponse, Nameless>),
    /// The provider's lists were compared; `None` where that went wrong.
    Compared(Option<Reconciled>),
    /// A sweep, or an operator's command, is over.
    Over,
}

/// The reason for an invocation.
#[derive(Debug, Clone)]
enum Errand {
    /// To take a delivery: which one.
    Post(usize),
    Forgery,
    /// To work on these messages of a queue.
    Work(Lane, Vec<Received>),
    /// To compare the provider's lists with the stored rows.
    Reconcile,
    Sweep,
    /// To publish announcements.
    Announce,
    /// To handle given-up messages and parked events: an operator's command.
    Operate,
}

/// An invocation that is under way.
struct Flight<'a> {
    id: u64,
    errand: Errand,
    future: Pin<Box<dyn Future<Output = Done> + 'a>>,
    began_at: Timestamp,
    /// The events that it is to fulfill, and how often the message of each has come.
    jobs: Rc<BTreeMap<EventId, u32>>,
    wakes_at: Option<Timestamp>,
    dies_at: Timestamp,
    /// The platform cannot end it: it was frozen and runs on.
    zombie: bool,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Moment(usize),
    Post(usize),
    Forge,
    /// An operator handles given-up messages and parked events.
    Operate,
    Sweep,
    Announce,
    Reconcile,
    /// SES reports this about that mail.
    Report(usize, usize),
    /// Ended events that have expired are deleted, some of them.
    Forget,
    Outage,
}

#[derive(Debug, Clone)]
struct Delivery {
    provider: &'static str,
    id: String,
    body: String,
    event_id: EventId,
    tries: usize,
    accepted: bool,
}

/// The runs that the end still needs, with their reasons.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    /// A message was lost, by a queue or by a stop between row and message.
    sweep: bool,
    /// A webhook never came, and reconcile has not yet found everything.
    reconcile: bool,
}

pub(super) struct Run<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    world: World,
    weather: Weather,
    faults: Faults,
    dice: Dice,
    queues: [Sqs; 3],
    /// The messages whose work was disturbed, by queue and id.
    troubled: BTreeSet<(usize, String)>,
    /// The reports that were given up on.
    dead_reports: Vec<String>,
    /// The mails that SES took, and their reports.
    mailed: Vec<Mailed>,
    flights: Vec<Flight<'a>>,
    agenda: BTreeMap<(Timestamp, u64), Act>,
    deliveries: Vec<Delivery>,
    seen: Seen,
    /// The mails for a later day for which a sweep is on the agenda.
    looked_out_for: BTreeSet<ReceiptId>,
    next: u64,
    behind: Duration,
    calm: bool,
    needs: Needs,
    /// The result of the last run of reconcile, if it ended.
    reconciled: Option<Reconciled>,
    loud: bool,
    pub(super) stats: Stats,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        plan: &'a Plan,
        weather: Weather,
        faults: Faults,
        dice: Dice,
        loud: bool,
    ) -> Self {
        let world = stage.bundle.world.clone();
        let mut run = Self {
            stage,
            plan,
            world,
            weather,
            faults,
            dice,
            queues: [
                Sqs::named("jobs"),
                Sqs::named("receipts"),
                Sqs::named("reports"),
            ],
            troubled: BTreeSet::new(),
            dead_reports: Vec::new(),
            mailed: Vec::new(),
            flights: Vec::new(),
            agenda: BTreeMap::new(),
            deliveries: Vec::new(),
            seen: Seen::default(),
            looked_out_for: BTreeSet::new(),
            next: 0,
            behind: Duration::ZERO,
            calm: false,
            needs: Needs::default(),
            reconciled: None,
            loud,
            stats: Stats {
                seeds: 1,
                ..Stats::default()
            },
        };
        run.arrange();
        run
    }

    /// Counts something that went wrong.
    fn count(&self, what: &'static str) {
        self.faults.sky().count(what);
    }

    fn say(&self, words: impl FnOnce() -> String) {
        if self.loud {
            eprintln!("{} {}", self.world.now(), words());
        }
    }

    fn at(&mut self, when: Timestamp, act: Act) {
        self.next += 1;
        self.agenda.insert((when, self.next), act);
    }

    fn after(&mut self, wait: Duration, act: Act) {
        self.at(later(self.world.now(), wait), act);
    }

    /// Puts everything on the agenda that does not follow from something else.
    fn arrange(&mut self) {
        let mut last = self.world.now();
        for (n, moment) in self.plan.moments.iter().enumerate() {
            let when = Timestamp::from_second(moment.at).unwrap_or(last);
            last = last.max(when);
            self.at(when, Act::Moment(n));
        }
        let begin = self.world.now();
        let days =
            u64::try_from(last.duration_since(begin).as_hours() / 24).unwrap_or_default() + 30;
        // Without lost messages, only mails for a later day may need a sweep.
        let sweeps = if self.weather.drops > 0 { days / 4 } else { 0 };
        let reconciles = self.weather.reconciles * days / 10;
        let forgets = if self.weather.forgets { days / 2 } else { 0 };
        let forgeries = if self.weather.forgeries { 5 } else { 0 };
        // Only near a planned moment: there are no calls elsewhere.
        let outages = if self.weather.fails > 0 { 6 } else { 0 };
        for _ in 0..outages {
            let moment = &self.plan.moments[self.dice.place(self.plan.moments.len())];
            let when = Timestamp::from_second(moment.at).unwrap_or(last);
            let wait = self.dice.between(Duration::ZERO, Duration::from_secs(30));
            self.at(later(when, wait), Act::Outage);
        }
        let acts = [
            (days / 6, Act::Operate),
            (sweeps, Act::Sweep),
            (days / 3, Act::Announce),
            (reconciles, Act::Reconcile),
            (forgets, Act::Forget),
            (forgeries, Act::Forge),
        ];
        for (count, act) in acts {
            for _ in 0..count {
                let wait = self
                    .dice
                    .between(Duration::ZERO, Duration::from_hours(days * 24));
                self.after(wait, act);
            }
        }
    }

    /// From the first day to the last, then in peace to the end, then all of it again.
    pub(super) fn play(&mut self) -> Result<(), String> {
        let begin = self.world.now();
        self.go_on()?;
        self.calm = true;
        self.faults.sky().calm = true;
        self.settle()?;
        self.sweep_what_is_due()?;
        let end = self.hold_end()?;
        self.hold_announcements()?;
        self.hold_nothing_missing()?;
        if self.dice.percent(50) {
            // As if every event were older than its retention: a duplicate is then a new event.
            self.pass(LONGER_THAN_KEPT);
            self.forget(100);
        }
        for n in 0..self.deliveries.len() {
            self.deliveries[n].accepted = false;
            self.after(Duration::ZERO, Act::Post(n));
        }
        for n in 0..self.mailed.len() {
            for nth in 0..self.mailed[n].reports.len() {
                self.after(Duration::ZERO, Act::Report(n, nth));
            }
        }
        self.settle()?;
        let again = self.hold_end()?;
        hold!(
            end == again,
            "I6: run again, it has become another: {}",
            end.differs_from(&again)
        );
        let kept = self.world.kept();
        let mails = kept.mails.len() as u64;
        let sky = self.faults.sky();
        self.stats.calls = sky.calls;
        self.stats.story = sky.story();
        self.stats.struck.clone_from(&sky.struck);
        self.stats.orders = kept.orders.len() as u64;
        self.stats.mails = mails;
        let mut ids: Vec<_> = kept.mails.iter().map(|mail| &mail.receipt_id).collect();
        ids.sort();
        ids.dedup();
        self.stats.again = mails - ids.len() as u64;
        let rows = kept.receipts.values();
        let held = rows.filter(|row| row.state == ReceiptState::Held);
        self.stats.held = held.count() as u64;
        let were_held = self.seen.held.iter();
        let were_held = were_held.filter_map(|id| kept.receipts.get(id));
        let is_sent = |row: &&Receipt| matches!(row.state, ReceiptState::Sent { .. });
        let settled = were_held.filter(is_sent).count() as u64;
        drop(kept);
        drop(sky);
        *self
            .stats
            .struck
            .entry("held mails settled by SES's feedback")
            .or_default() += settled;
        let days = self.world.now().duration_since(begin).as_hours() / 24;
        self.stats.days = u64::try_from(days).unwrap_or_default();
        Ok(())
    }

    /// Once all has come to its end, the provider's lists have nothing that is missing here.
    fn hold_nothing_missing(&mut self) -> Result<(), String> {
        self.pass(NOT_YOUNG);
        self.begin_reconcile();
        self.go_on()?;
        let found = self.reconciled.as_ref();
        // An order whose money went back before its goods went out waits for nothing, and is listed as paid.
        let held = {
            let kept = self.world.kept();
            let is_held = |order: &&Order| {
                order.fulfilled_at.is_none() && order.active_holds().contains(&Hold::Refund)
            };
            kept.orders.values().filter(is_held).count()
        };
        // A partly paid order is asked for once a day.
        let is_part = |order: &&FlintOrder| order.fate == Fate::PartlyPaid;
        let part = self.plan.flint.orders.iter().filter(is_part).count();
        let nothing = |found: &Reconciled| {
            let Count {
                missing,
                seen_before,
                resumed,
                waiting,
                unreadable,
                ..
            } = found.total();
            let found_again = missing + seen_before + resumed;
            !found.more && waiting + unreadable == 0 && found_again <= held + part
        };
        hold!(
            found.is_some_and(nothing),
            "I6: something is missing at the end: {found:?}"
        );
        Ok(())
    }

    fn hold_end(&self) -> Result<End, String> {
        let kept = self.world.kept();
        end::end(&kept, self.plan, &self.seen, &self.mailed)?;
        let lost = self.deliveries.iter().find(|delivery| !delivery.accepted);
        hold!(lost.is_none(), "I1: never taken: {lost:?}");
        Ok(End::of(&kept))
    }

    /// Does one thing after the other until there is nothing left to do.
    fn go_on(&mut self) -> Result<(), String> {
        for _ in 0..MOST_STEPS {
            let now = self.world.now();
            let act_due = self
                .agenda
                .keys()
                .next()
                .is_some_and(|(when, _)| *when <= now);
            let ready: Vec<usize> = (0..self.flights.len())
                .filter(|n| {
                    self.flights[*n]
                        .wakes_at
                        .is_none_or(|wakes_at| wakes_at <= now)
                })
                .collect();
            let at_work = |lane: Lane| {
                let is_it = |errand: &Errand| matches!(errand, Errand::Work(of, _) if *of == lane);
                self.flights
                    .iter()
                    .filter(|flight| is_it(&flight.errand) && flight.wakes_at.is_none())
                    .count()
            };
            let lanes: Vec<Lane> = Lane::ALL
                .into_iter()
                .filter(|lane| {
                    self.queues[*lane as usize].has_some(now) && at_work(*lane) < MOST_FLIGHTS
                })
                .collect();
            let options = ready.len() + usize::from(act_due) + lanes.len();
            if options == 0 {
                let acts = self.agenda.keys().next().map(|(when, _)| *when);
                let wakes = self
                    .flights
                    .iter()
                    .filter_map(|flight| flight.wakes_at)
                    .min();
                let queues = self.queues.iter().filter_map(Sqs::next_at);
                let Some(next) = queues.chain(acts).chain(wakes).min() else {
                    return Ok(());
                };
                let wait = next.duration_since(now).unsigned_abs();
                self.pass(wait);
                continue;
            }
            let chosen = self.dice.place(options);
            if let Some(n) = ready.get(chosen) {
                self.step(*n)?;
            } else if chosen == ready.len() && act_due {
                if let Some((_, act)) = self.agenda.pop_first() {
                    self.act(act);
                }
            } else if let Some(lane) = lanes.get(chosen - ready.len() - usize::from(act_due)) {
                self.take(*lane)?;
            }
        }
        Err("it never comes to rest".to_owned())
    }

    /// Lets time pass, for the world and, if they know it, for the timers.
    fn pass(&mut self, by: Duration) {
        self.world.pass(by);
        self.behind += by;
        if self.weather.timers_know && self.behind >= Duration::from_millis(500) {
            let by = std::mem::take(&mut self.behind);
            self.stage.runtime.block_on(tokio::time::advance(by));
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Moment(n) => self.moment(n),
            Act::Post(n) => self.post(n),
            Act::Forge => self.forge(),
            Act::Operate => {
                self.begin_operation(60);
                if self.dice.percent(20) {
                    // Two of them, who do not know of each other.
                    self.begin_operation(60);
                }
                // While what the operator has changed is on its way into the indexes.
                if self.dice.percent(30) {
                    let wait = self
                        .dice
                        .between(Duration::from_secs(1), Duration::from_secs(6));
                    self.after(wait, Act::Operate);
                }
                if self.weather.drops > 0 && self.dice.percent(50) {
                    self.begin_sweep();
                }
                if self.weather.reconciles > 0 && self.dice.percent(30) {
                    self.begin_reconcile();
                }
            }
            Act::Sweep => self.begin_sweep(),
            Act::Announce => self.begin_announcing(),
            Act::Reconcile => self.begin_reconcile(),
            Act::Report(n, nth) => {
                let now = self.world.now();
                self.queues[Lane::Reports as usize].send(&self.mailed[n].reports[nth].notice, now);
            }
            Act::Forget => {
                self.forget(70);
            }
            Act::Outage => {
                let services = self.dice.one_of(&SERVICES);
                let lasts = self
                    .dice
                    .between(Duration::from_mins(1), Duration::from_hours(3));
                let until = later(self.world.now(), lasts);
                self.say(|| format!("{services:?} are away until {until}"));
                let mut sky = self.faults.sky();
                sky.outages.push(Outage { services, until });
                sky.count("outages");
            }
        }
    }

    fn begin(
        &mut self,
        errand: Errand,
        lasts: Duration,
        future: Pin<Box<dyn Future<Output = Done> + 'a>>,
    ) {
        self.next += 1;
        let began_at = self.world.now();
        self.stats.invocations += 1;
        self.flights.push(Flight {
            id: self.next,
            errand,
            future,
            began_at,
            jobs: Rc::default(),
            wakes_at: None,
            dies_at: later(began_at, lasts),
            zombie: false,
        });
    }

    /// Decides the outcome of each new mail, and when SES reports it. They were sent by an
    /// invocation that began then.
    fn follow_mails(&mut self, began_at: Timestamp) -> Result<(), String> {
        let (now, seen) = (self.world.now(), self.mailed.len());
        let new: Vec<Taken> = {
            let kept = self.world.kept();
            let new = kept.mails.iter().enumerate().skip(seen);
            new.filter_map(|(n, mail)| {
                Some(Taken {
                    receipt_id: mail.receipt_id.clone(),
                    message_id: MessageId::new(format!("ses-{}", n + 1)).ok()?,
                    to: mail.to.as_str().to_owned(),
                    at: now,
                })
            })
            .collect()
        };
        for taken in new {
            self.seen
                .may_send(&taken.receipt_id, &taken.to, self.plan, began_at)?;
            let troubles = self.rate(self.weather.troubles);
            let (kinds, delivery_failure) = reports::fate(&mut self.dice, troubles);
            if let Some(delivery_failure) = delivery_failure {
                self.count(delivery_failure);
            }
            let mut mailed = Mailed {
                taken,
                reports: Vec::new(),
                incomplete: kinds.is_empty(),
            };
            for kind in kinds {
                if !self.dice.percent(self.weather.reports) {
                    self.count("reports that never came");
                    mailed.incomplete = true;
                    continue;
                }
                let report = reports::Reported::of(&mailed.taken, kind, &mut self.dice);
                let place = (self.mailed.len(), mailed.reports.len());
                let wait = report.at.duration_since(now).unsigned_abs();
                mailed.reports.push(report);
                loop {
                    let late = self.lateness();
                    self.after(wait + late, Act::Report(place.0, place.1));
                    if !self.dice.percent(10) {
                        break;
                    }
                    self.count("reports that came twice");
                }
            }
            self.mailed.push(mailed);
        }
        Ok(())
    }

    fn begin_reconcile(&mut self) {
        self.count("runs of reconcile");
        self.seen.reconciled = true;
        self.reconciled = None;
        let reconcile = &self.stage.reconcile;
        let future = Box::pin(async move { Done::Compared(reconcile.run().await.ok()) });
        self.begin(Errand::Reconcile, RECONCILE_LASTS, future);
    }

    fn begin_sweep(&mut self) {
        self.count("runs of sweep");
        let sweep = &self.stage.sweep;
        let future = Box::pin(async move {
            let _ = sweep.run().await;
            Done::Over
        });
        self.begin(Errand::Sweep, SWEEP_LASTS, future);
    }

    fn begin_announcing(&mut self) {
        let announcer = &self.stage.announcer;
        let all_counters = self.calm || self.dice.percent(30);
        let future = Box::pin(async move {
            let call = Call {
                all_counters,
                ..Call::default()
            };
            let _ = announcer.answer(&call).await;
            Done::Over
        });
        self.begin(Errand::Announce, SWEEP_LASTS, future);
    }

    /// A rate, or none once it is calm.
    fn rate(&self, rate: u64) -> u64 {
        if self.calm { 0 } else { rate }
    }

    /// One step of an invocation: to its next await point, unless it is killed or frozen there.
    fn step(&mut self, n: usize) -> Result<(), String> {
        let (kills, freezes) = (
            self.rate(self.weather.kills),
            self.rate(self.weather.freezes),
        );
        let now = self.world.now();
        let flight = &mut self.flights[n];
        let id = flight.id;
        if flight.wakes_at.take().is_some() {
            flight.zombie = true;
            self.say(|| format!("r{id} wakes"));
        } else if now > flight.dies_at && !flight.zombie {
            self.kill(n, "processes ended by the platform, out of time");
            return Ok(());
        } else if self.dice.rarely(kills) {
            self.kill(n, "processes killed");
            return Ok(());
        } else if self.dice.rarely(freezes) {
            let most = self.dice.one_of(&[40, 240, 3_600, 200_000]);
            let lasts = self
                .dice
                .between(Duration::from_secs(5), Duration::from_secs(most));
            flight.wakes_at = now.saturating_add(lasts).ok();
            delivery_failure(&mut self.troubled, &flight.errand);
            let mut sky = self.faults.sky();
            sky.count("processes frozen, and woken later");
            sky.disturbed.insert(id);
            drop(sky);
            self.say(|| format!("r{id} freezes for {lasts:?}"));
            // The sender does not wait for it.
            if let Errand::Post(n) = self.flights[n].errand {
                self.resend(n);
            }
            return Ok(());
        }
        {
            let mut sky = self.faults.sky();
            (sky.flight, sky.now) = (id, now);
            self.seen.by = match self.flights[n].errand {
                Errand::Operate => By::Operator,
                Errand::Work(Lane::Reports, _) => By::Feedback,
                _ => By::Others,
            };
        }
        let polled = {
            let _timers = self.stage.runtime.enter();
            let mut context = Context::from_waker(Waker::noop());
            self.flights[n].future.as_mut().poll(&mut context)
        };
        self.collect();
        self.note_old_answers(id);
        self.follow_mails(self.flights[n].began_at)?;
        let wrote = std::mem::take(&mut self.faults.sky().wrote);
        if wrote {
            let misled = self.faults.sky().misled.contains(&id);
            let Flight {
                began_at, ref jobs, ..
            } = self.flights[n];
            self.seen.attempt = Attempt {
                began_at,
                receives: Rc::clone(jobs),
                misled,
            };
            let kept = self.world.kept();
            self.seen.look(&kept, self.plan, &self.faults, now)?;
            drop(kept);
            self.look_out_for_what_is_due(now);
        }
        if let Poll::Ready(done) = polled {
            let flight = self.flights.swap_remove(n);
            self.done(&flight, done)?;
        }
        self.time_goes_by(id);
        Ok(())
    }

    /// Counts the outdated answers of the provider's API.
    fn note_old_answers(&self, id: u64) {
        let old = self.world.kept().old_answers.take();
        let mut sky = self.faults.sky();
        for _ in 0..old {
            sky.count("the API is behind what it announces");
            sky.misled.insert(id);
        }
    }

    /// The schedule comes to a mail for a later day: every few hours of the days on which it looks for it.
    /// Else it comes now and then only, so that the end is reached without it.
    fn look_out_for_what_is_due(&mut self, now: Timestamp) {
        let new: Vec<_> = {
            let kept = self.world.kept();
            let due = kept
                .receipts
                .values()
                .filter_map(|row| Some((row.receipt_id.clone(), row.due_at?)));
            due.filter(|(id, _)| !self.looked_out_for.contains(id))
                .collect()
        };
        for (id, due_at) in new {
            self.looked_out_for.insert(id);
            for hours in (1..=72).step_by(6) {
                let when = due_at
                    .max(now)
                    .saturating_add(SignedDuration::from_hours(hours));
                self.at(when.unwrap_or(Timestamp::MAX), Act::Sweep);
            }
        }
    }

    /// Every step takes time, sometimes seconds, and sometimes the clock jumps.
    fn time_goes_by(&mut self, id: u64) {
        let mut by = self
            .dice
            .between(Duration::from_millis(1), Duration::from_millis(60));
        if self.dice.rarely(self.rate(self.weather.slow)) {
            by = self
                .dice
                .between(Duration::from_secs(1), Duration::from_secs(28));
            self.disturb_all("calls that took seconds");
            self.say(|| format!("r{id} takes {by:?}"));
        }
        if self.dice.rarely(self.rate(self.weather.jumps)) {
            by = self
                .dice
                .between(Duration::from_secs(30), Duration::from_hours(2));
            self.disturb_all("jumps of the clock");
            self.say(|| format!("the clock jumps by {by:?}"));
        }
        self.pass(by);
    }

    fn disturb_all(&mut self, what: &'static str) {
        let mut sky = self.faults.sky();
        sky.count(what);
        sky.disturbed
            .extend(self.flights.iter().map(|flight| flight.id));
    }

    /// A process is gone, wherever it was.
    fn kill(&mut self, n: usize, how: &'static str) {
        let flight = self.flights.swap_remove(n);
        delivery_failure(&mut self.troubled, &flight.errand);
        self.needs.sweep |= matches!(flight.errand, Errand::Operate | Errand::Reconcile);
        {
            let mut sky = self.faults.sky();
            sky.count(how);
            sky.disturbed.insert(flight.id);
        }
        self.say(|| format!("r{} is killed: {how}", flight.id));
        if let Errand::Post(n) = flight.errand {
            self.resend(n);
        }
    }

    /// The sender retries, on its schedule; after the schedule, by hand.
    fn resend(&mut self, n: usize) {
        let event_id = &self.deliveries[n].event_id;
        if self.weather.drops > 0
            && self.dice.percent(20)
            && self.world.kept().events.contains_key(event_id)
        {
            // It gives up; only stored events remain.
            self.deliveries[n].accepted = true;
            self.count("stored deliveries that nobody sends again");
            self.needs.sweep = true;
            return;
        }
        let tries = self.deliveries[n].tries;
        let wait = RESENDS
            .get(tries)
            .copied()
            .unwrap_or(Duration::from_hours(24));
        self.after(wait, Act::Post(n));
    }

    /// An invocation has come to its end. The result of a frozen invocation reaches no caller.
    fn done(&mut self, flight: &Flight<'a>, done: Done) -> Result<(), String> {
        let unheard = flight.zombie || self.dice.rarely(self.rate(self.weather.answers));
        if unheard && !flight.zombie {
            self.count("invocations whose end nobody heard of");
        }
        match (&flight.errand, done) {
            (Errand::Post(n), Done::Answered(status)) => {
                self.say(|| {
                    format!(
                        "r{} answers {status} to {}",
                        flight.id, self.deliveries[*n].id
                    )
                });
                // A delivery that is verified late is stale.
                let late = status == 401 && self.faults.sky().disturbed.contains(&flight.id);
                hold!(
                    late || [200, 503].contains(&status),
                    "a delivery was answered with {status}"
                );
                if unheard || status != 200 {
                    self.resend(*n);
                } else {
                    self.deliveries[*n].accepted = true;
                }
            }
            (Errand::Forgery, Done::Answered(status)) => {
                hold!(
                    [400, 401, 503].contains(&status),
                    "I4: a forgery was answered with {status}"
                );
            }
            (Errand::Operate, _) => {
                self.needs.sweep |= self.faults.sky().disturbed.contains(&flight.id);
            }
            (Errand::Reconcile, Done::Compared(found)) => {
                self.say(|| format!("r{} has found {found:?}", flight.id));
                // Stopped between row and message; another run closed the gap.
                self.needs.sweep |= self.faults.sky().disturbed.contains(&flight.id);
                let Count { missing, .. } =
                    found.as_ref().map(Reconciled::total).unwrap_or_default();
                let mut sky = self.faults.sky();
                *sky.struck
                    .entry("events made up for, of what no webhook told")
                    .or_default() += missing as u64;
                drop(sky);
                // As it was when the last webhook had come, or had not.
                self.needs.reconcile &= !(self.calm && found.as_ref().is_some_and(is_clean));
                self.reconciled = found;
            }
            (Errand::Work(lane, received), Done::Batched(answer)) => {
                let answer = answer.map_err(|nameless| nameless.to_string())?;
                let in_trouble = {
                    let sky = self.faults.sky();
                    unheard || sky.disturbed.contains(&flight.id) || sky.misled.contains(&flight.id)
                };
                if in_trouble {
                    delivery_failure(&mut self.troubled, &flight.errand);
                }
                let failed: Vec<&str> = answer
                    .batch_item_failures
                    .iter()
                    .map(|failure| failure.item_identifier.as_str())
                    .collect();
                self.say(|| {
                    format!(
                        "r{} is through with {received:?}, but for {failed:?}",
                        flight.id
                    )
                });
                if unheard {
                    return Ok(());
                }
                if (1..received.len()).contains(&failed.len()) {
                    self.count("batches that failed in part");
                }
                for received in received
                    .iter()
                    .filter(|received| !failed.contains(&received.id.as_str()))
                {
                    self.queues[*lane as usize].delete(received, &mut self.dice);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The message names that event.
    fn is_named(&self, id: &EventId) -> bool {
        let name = format!("\"{id}\"");
        let kept = self.world.kept();
        self.queues
            .iter()
            .any(|queue| queue.bodies().any(|body| body.contains(&name)))
            || kept
                .dead_letters
                .values()
                .any(|dead| dead.body.contains(&name))
    }

    /// `DynamoDB` deletes some of the events that have expired, whenever it likes. No event is forgotten
    /// before the last message about it: the template keeps events for twice as long as SQS keeps messages,
    /// at least.
    fn forget(&mut self, share: u64) {
        if self.flights.iter().any(|flight| flight.wakes_at.is_some()) {
            return;
        }
        let now = self.world.now();
        let kept_for = SignedDuration::from_hours(self.weather.retention * 24);
        let expired = self
            .seen
            .ended
            .iter()
            .filter(|(_, ended)| now.duration_since(**ended) > kept_for);
        let expired: Vec<EventId> = expired.map(|(id, _)| id.clone()).collect();
        for id in expired {
            if self.dice.percent(share) && !self.is_named(&id) {
                self.seen.forget(&id);
                self.world.kept().events.remove(&id);
                self.count("ended events forgotten");
            }
        }
    }
}

/// Reconcile looked at everything, and found no unfinished thing missing.
fn is_clean(found: &Reconciled) -> bool {
    let Count {
        missing,
        waiting,
        unreadable,
        ..
    } = found.total();
    !found.more && [missing, waiting, unreadable] == [0; 3]
}
