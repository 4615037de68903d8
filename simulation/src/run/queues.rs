//! The queues: the messages that they hand out, lose and give up on.

use super::{Done, Errand, Lane, Run};
use crate::{check::hold, later};
use aws::batch::{self, Invocation};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use kit::prelude::*;
use kit::{
    drive::{FEEDBACK_RULES, RECEIPT_RULES, RULES, WORKER_LASTS},
    sqs::{Received, Spent},
};
use std::rc::Rc;

impl Run<'_> {
    /// Hands some messages of a queue to an invocation.
    pub(super) fn take(&mut self, lane: Lane) -> Result<(), String> {
        let now = self.world.now();
        let again = self.rate(self.weather.duplicates);
        let (received, records) =
            self.queues[lane as usize].receive(now, lane.at_once(), &mut self.dice, again);
        self.give_up()?;
        if records.is_empty() || self.is_lost(lane, &received) {
            return Ok(());
        }
        let jobs = jobs(&records);
        self.note_what_is_worked_on(lane, &received);
        let (stage, world, request) = (self.stage, self.world.clone(), self.next + 1);
        if lane == Lane::Reports {
            self.seen.hand(&records);
        }
        let future = Box::pin(async move {
            let ends_at = later(now, WORKER_LASTS).as_millisecond();
            let invocation = Invocation {
                request_id: &format!("r{request}"),
                deadline_ms: u64::try_from(ends_at).unwrap_or_default(),
            };
            let (event, bundle, w) = (event(records), &stage.bundle, &world);
            Done::Batched(match lane {
                Lane::Jobs => {
                    let worker = &bundle.fulfillment;
                    batch::run(event, invocation, RULES, worker, w, w).await
                }
                Lane::Receipts => {
                    let worker = &bundle.receipts;
                    batch::run(event, invocation, RECEIPT_RULES, worker, w, w).await
                }
                Lane::Reports => {
                    let worker = &bundle.feedback;
                    batch::run(event, invocation, FEEDBACK_RULES, worker, w, w).await
                }
            })
        });
        self.begin(Errand::Work(lane, received), WORKER_LASTS, future);
        if let Some(flight) = self.flights.last_mut() {
            flight.jobs = Rc::new(jobs);
        }
        Ok(())
    }

    /// The messages of a queue that are in work.
    fn at_work(&self, lane: Lane) -> impl Iterator<Item = &String> {
        let at_work = self
            .flights
            .iter()
            .filter_map(move |flight| match &flight.errand {
                Errand::Work(of, received) if *of == lane => Some(received),
                _ => None,
            });
        at_work.flatten().map(|received| &received.id)
    }

    /// Counts the messages that are in work elsewhere.
    fn note_what_is_worked_on(&mut self, lane: Lane, received: &[Received]) {
        let at_work: BTreeSet<String> = self.at_work(lane).cloned().collect();
        for received in received
            .iter()
            .filter(|received| at_work.contains(&received.id))
        {
            self.count("messages delivered while worked on");
            self.troubled.insert((lane as usize, received.id.clone()));
        }
    }

    /// Messages with too many receives move to the dead-letter queues.
    fn give_up(&mut self) -> Result<(), String> {
        for lane in Lane::ALL {
            for Spent { id, body } in self.queues[lane as usize].given_up() {
                let name = (lane as usize, id);
                // Received once more during the work on its last receive.
                let has_reason =
                    self.troubled.remove(&name) || self.at_work(lane).any(|id| *id == name.1);
                hold!(
                    has_reason && !self.weather.is_fair(),
                    "I1: nothing was in the way of what was given up on: {}",
                    self.said(&body)
                );
                let hop = match lane {
                    Lane::Jobs => Hop::Fulfillment,
                    Lane::Receipts => Hop::Receipts,
                    Lane::Reports => {
                        self.count("reports given up on, and redriven");
                        self.dead_reports.push(body);
                        continue;
                    }
                };
                self.count("messages given up on, and redriven");
                self.world.kept().give_up(hop, body, "simulated".to_owned());
            }
        }
        Ok(())
    }

    /// A job, with the notes on its event.
    fn said(&self, body: &str) -> String {
        let kept = self.world.kept();
        let noted = kept
            .events
            .values()
            .find(|event| body.contains(event.event_id.as_str()));
        let noted = noted.map(|event| (event.state, &event.event_type, &event.reason));
        format!("{body}: {noted:?}")
    }

    /// Decides whether the queue loses these, as after its retention or a purge. A lost report is never
    /// posted: its effect would be unknown afterwards.
    fn is_lost(&mut self, lane: Lane, received: &[Received]) -> bool {
        let lost = lane != Lane::Reports && self.dice.rarely(self.rate(self.weather.drops));
        for received in received.iter().filter(|_| lost) {
            self.queues[lane as usize].lose(received);
            self.count("messages lost by a queue");
            self.needs.sweep = true;
        }
        lost
    }

    /// Takes the messages that an invocation has sent to the queues.
    pub(super) fn collect(&mut self) {
        let now = self.world.now();
        let (jobs, receipts, delays) = {
            let mut kept = self.world.kept();
            if kept.fulfillment_queue.is_empty()
                && kept.receipt_queue.is_empty()
                && kept.delays.is_empty()
            {
                return;
            }
            let jobs = std::mem::take(&mut kept.fulfillment_queue);
            let receipts = std::mem::take(&mut kept.receipt_queue);
            (jobs, receipts, std::mem::take(&mut kept.delays))
        };
        for message in jobs {
            self.queues[Lane::Jobs as usize].send(&message.job, now);
        }
        for message in receipts {
            self.queues[Lane::Receipts as usize].send(&message.job, now);
        }
        for (handle, by) in delays {
            for queue in &mut self.queues {
                queue.hide(&handle, by, now);
            }
        }
    }
}

/// The work on the messages of that errand was disturbed.
pub(super) fn delivery_failure(troubled: &mut BTreeSet<(usize, String)>, errand: &Errand) {
    if let Errand::Work(lane, received) = errand {
        troubled.extend(
            received
                .iter()
                .map(|received| (*lane as usize, received.id.clone())),
        );
    }
}

/// Which events these messages ask to fulfill, and how often each has come: where there are two about one event, the
/// more often.
fn jobs(records: &[SqsMessage]) -> BTreeMap<EventId, u32> {
    let mut jobs = BTreeMap::new();
    for record in records {
        let job = serde_json::from_str(record.body.as_deref().unwrap_or_default());
        let receives = record
            .attributes
            .get("ApproximateReceiveCount")
            .and_then(|count| count.parse::<u32>().ok());
        if let (Ok(FulfillmentJob::V1 { event_id }), Some(receives)) = (job, receives) {
            let known = jobs.entry(event_id).or_default();
            *known = receives.max(*known);
        }
    }
    jobs
}

fn event(records: Vec<SqsMessage>) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = records;
    event
}
