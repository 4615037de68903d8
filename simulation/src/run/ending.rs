//! How all comes to its end: the operator, and the schedules once it is calm.

use super::{Act, Done, Errand, Lane, NOT_YOUNG, Run};
use crate::{check::hold, end::is_overdue};
use domain::{announcement::Kind, ports::OpenRows};
use kit::dice::Dice;
use kit::prelude::*;
use operator::{note::Note, pace::Pace, redrive};
use std::num::NonZeroU32;

impl Run<'_> {
    /// Everything runs to its end, with an operator looking after what is left; and with the sweep, where a message
    /// was lost or units came back. Otherwise a sweep may be superfluous.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..60 {
            self.go_on()?;
            let fills = self.leaves_units();
            if !self.is_undone() && !self.needs.reconcile && !fills {
                return Ok(());
            }
            self.begin_operation(100);
            if self.needs.reconcile {
                self.go_on()?;
                self.pass(NOT_YOUNG);
                self.begin_reconcile();
            }
            if self.needs.sweep || fills || self.leaves_corrections() {
                self.begin_sweep();
                self.go_on()?;
                let wait = self
                    .dice
                    .between(Duration::from_mins(5), Duration::from_hours(20));
                self.pass(wait);
            }
        }
        Err(format!("I1: it is never done: {}", self.overdue()))
    }

    /// Once a calm run of the announcer is over, the bus has every announcement, and those of a thing make its row.
    pub(super) fn hold_announcements(&mut self) -> Result<(), String> {
        self.pass(Duration::from_mins(5));
        // The levels of counters are announced by batches that the next run publishes at the latest.
        for _ in 0..2 {
            self.begin_announcing();
            self.go_on()?;
        }
        let world = self.world.clone();
        let kept = world.kept();
        let wrong = kept.unannounced();
        hold!(wrong.is_empty(), "I7: {wrong:?}");
        let waiting = kept.batches.values().filter(|(_, published)| !published);
        let waiting: Vec<_> = waiting.map(|(batch, _)| &batch.batch_id).collect();
        hold!(waiting.is_empty(), "I7: never published: {waiting:?}");
        let stored = kept
            .batches
            .values()
            .flat_map(|(batch, _)| &batch.announcements);
        let stored: BTreeSet<&str> = stored.map(|one| one.id.as_str()).collect();
        let published: BTreeSet<&str> = kept.published.iter().map(|one| one.id.as_str()).collect();
        hold!(
            stored == published,
            "I7: the bus has other announcements than the table"
        );
        let paid = kept.orders.values().filter(|order| {
            let is_paid = order.funds() == OrderFunds::Received;
            is_paid && order.fulfilled_at.is_some()
        });
        let is_paid = |kind: Kind| matches!(kind, Kind::OrderPaid | Kind::RenewalPaid);
        let told = kept.published.iter().filter(|one| is_paid(one.kind));
        let told: BTreeSet<&str> = told.map(|one| one.id.as_str()).collect();
        let is_told = |order: &Order| {
            let of_order = format!("{}/", order.order_id);
            told.iter().filter(|id| id.starts_with(&of_order)).count() == 1
        };
        let untold: Vec<_> = paid.filter(|order| !is_told(order)).collect();
        hold!(
            untold.is_empty(),
            "I7: not announced as paid once: {untold:?}"
        );
        let differs = |(sku, units): (&Sku, &i64)| {
            kept.announced_levels.get(sku).map(|level| level.on_hand) != Some(*units)
        };
        let levels = kept
            .counters
            .iter()
            .filter(|(sku, units)| differs((sku, units)))
            .count();
        hold!(
            levels == 0,
            "I7: {levels} counters differ from what was announced"
        );
        self.stats.announced = u64::try_from(kept.published.len()).unwrap_or_default();
        let again = kept.published.len() - published.len();
        self.stats.announced_again = u64::try_from(again).unwrap_or_default();
        Ok(())
    }

    /// True if a correction has waited through all its attempts: it is left to sweep.
    fn leaves_corrections(&self) -> bool {
        let kept = self.world.kept();
        let mut unsent = kept.receipts.values().filter(|row| row.is_unfinished());
        unsent.any(|row| matches!(row.kind, ReceiptKind::RefundFailed { .. }))
    }

    /// True if units have come back of which an order still waits for some: sweep moves them.
    fn leaves_units(&self) -> bool {
        let kept = self.world.kept();
        let has_units = |sku| kept.counters.get(sku).is_some_and(|units| *units > 0);
        let mut movements = kept.movements.values();
        movements.any(|movement| movement.is_open && has_units(&movement.sku))
    }

    fn overdue(&self) -> String {
        let kept = self.world.kept();
        let events = kept.events.values().filter(|event| is_overdue(event));
        let events = events
            .map(|event| format!("\n  {} {} {:?}", event.event_id, event.state, event.reason));
        let receipts = kept.receipts.values().filter(|row| row.is_unfinished());
        let receipts = receipts.map(|row| format!("\n  {} {:?}", row.receipt_id, row.state));
        events.chain(receipts).collect()
    }

    /// The days of mails for later days come, one after the other.
    pub(super) fn sweep_what_is_due(&mut self) -> Result<(), String> {
        loop {
            let due = {
                let kept = self.world.kept();
                let unsent = kept.receipts.values().filter(|row| row.is_unfinished());
                unsent.filter_map(|row| row.due_at).min()
            };
            let Some(due) = due else { return Ok(()) };
            hold!(
                due.duration_since(self.world.now()) > SignedDuration::from_hours(-24 * 10),
                "I1: a mail that was due at {due} was never sent"
            );
            self.at(due.max(self.world.now()), Act::Sweep);
            self.settle()?;
            self.pass(Duration::from_hours(1));
        }
    }

    /// An operator redrives the dead letters, and releases a share of the parked events.
    pub(super) fn begin_operation(&mut self, share: u64) {
        let now = self.world.now();
        let (parked, dead) = {
            let kept = self.world.kept();
            let parked = kept
                .events
                .values()
                .any(|event| event.state == EventState::Parked);
            (parked, !kept.dead_letters.is_empty())
        };
        // These are foreign messages: SQS itself moves them back.
        for body in std::mem::take(&mut self.dead_reports) {
            self.queues[Lane::Reports as usize].send_as_is(body, now);
        }
        if !parked && !dead {
            return;
        }
        self.say(|| format!("an operator releases if {parked}, and redrives if {dead}"));
        let (world, faults) = (self.world.clone(), self.faults.clone());
        let mut dice = Dice::of(self.dice.below(u64::MAX), 5);
        let future = Box::pin(async move {
            let mut pace = Pace::per_second(NonZeroU32::MAX);
            let bounds = redrive::Bounds {
                dry_run: false,
                messages: 1_000,
                only: None,
            };
            let (jobs, receipts) = (
                world.dead_letters(Hop::Fulfillment),
                world.dead_letters(Hop::Receipts),
            );
            redrive::redrive::<FulfillmentJob>(&jobs, &world, &bounds, &mut pace).await;
            redrive::redrive::<ReceiptJob>(&receipts, &world, &bounds, &mut pace).await;
            // A failed release, or a row that the index does not show yet, is left for another day.
            let parked = OpenRows::open_events(&world, EventState::Parked, 1_000)
                .await
                .unwrap_or_default();
            if let Ok(note) = Note::new("somebody", "a simulated day", now) {
                for event_id in parked.into_iter().filter(|_| dice.percent(share)) {
                    faults.sky().count("parked events, and released");
                    let _ = operator::events::release(&world, &world, &event_id, &note).await;
                }
            }
            Done::Over
        });
        self.begin(Errand::Operate, Duration::from_hours(1), future);
    }

    /// Something is left to do now.
    pub(super) fn is_undone(&self) -> bool {
        let now = self.world.now();
        let kept = self.world.kept();
        let is_due =
            |row: &Receipt| row.is_unfinished() && row.due_at.is_none_or(|due_at| due_at <= now);
        kept.receipts.values().any(is_due)
            || kept.events.values().any(is_overdue)
            || !(kept.dead_letters.is_empty() && self.dead_reports.is_empty())
    }
}
