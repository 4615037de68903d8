//! The edge of sweep: queues the mails whose day has come.
//!
//! Nothing is marked here. What is queued once too often does no harm: receipts claims a mail before it sends it, and
//! leaves alone what is sent, withdrawn, or not due yet. So two runs at once come to the same as one.

use domain::{
    ids::ReceiptId,
    job::ReceiptJob,
    outcome::Setback,
    ports::{Clock, Due, MOST_DUE, Queue},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::Offset};

/// How many days back a run looks: a mail that was not queued on its day, because a service was away or too many were
/// due, is sent late rather than never.
pub const DAYS_BACK: i64 = 3;
/// How many are handed to the queue at the same time: some thousands, one after the other, would not fit into the
/// function's minute.
const AT_ONCE: usize = 10;

/// What sweep needs of the world.
#[derive(Debug)]
pub struct Sweep<D, Q, C> {
    /// The mails and their days.
    pub receipts: D,
    /// Where they are sent from.
    pub queue: Q,
    /// The time.
    pub clock: C,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many mails were queued.
    pub queued: usize,
    /// Whether more may be due than a run takes of one day. The next one goes on with them: by then these are sent, and
    /// not due any more.
    pub more: bool,
}

impl<D: Due, Q: Queue<ReceiptJob>, C: Clock> Sweep<D, Q, C> {
    /// Queues what is due, and writes the one line that the log keeps of a run.
    pub async fn run(&self) -> Result<Swept, Setback> {
        let started_at = self.clock.now();
        let swept = self.sweep(started_at).await;
        log(&swept, self.clock.now().duration_since(started_at));
        swept
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, Setback> {
        let mut swept = Swept { queued: 0, more: false };
        for day in days(now) {
            let due = self.receipts.due(day).await?;
            swept.queued += due.len();
            swept.more |= due.len() >= MOST_DUE;
            self.queue_all(due).await?;
        }
        Ok(swept)
    }

    async fn queue_all(&self, due: Vec<ReceiptId>) -> Result<(), Setback> {
        let sent = due.into_iter().map(|receipt_id| async {
            let job = ReceiptJob::V1 { receipt_id };
            self.queue.send(&job).await
        });
        stream::iter(sent).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// The days that a run looks at, the first one first: what has waited longest goes first.
fn days(now: Timestamp) -> impl Iterator<Item = Date> {
    let today = Offset::UTC.to_datetime(now).date();
    (0..=DAYS_BACK).rev().map(move |back| today.saturating_sub(back.days()))
}

fn log(swept: &Result<Swept, Setback>, took: SignedDuration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or_default();
    match swept {
        Ok(Swept { queued, more }) => {
            tracing::info!(outcome = "swept", queued, more, duration_ms, "due mails queued");
        }
        Err(setback) => {
            tracing::warn!(outcome = "retry", reason = %setback, duration_ms, "will be tried again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_looks_at_today_and_the_three_days_before_by_universal_time() {
        let days = |now: &str| days(now.parse().unwrap()).map(|day| day.to_string()).collect::<Vec<_>>();
        let expected = ["2026-02-26", "2026-02-27", "2026-02-28", "2026-03-01"];
        assert_eq!(days("2026-03-01T00:00:00Z"), expected);
        assert_eq!(days("2026-03-01T23:59:59Z"), expected);
        // Elsewhere it is the second of March already; the days of due mails are those of universal time.
        assert_eq!(days("2026-03-02T00:30:00+09:00"), expected);
    }
}
