//! Redrives a dead-letter queue: moves its messages to the work queue.
//!
//! SQS can move messages too (`StartMessageMoveTask`), but only all of them, in one task per queue.
//! This redrive checks each message, keeps a pace, and has a dry run. SES feedback messages are
//! moved unchanged.

use crate::{NAMED, names, pace::Pace};
use domain::{
    delivery::job::Job,
    ports::{DeadLetters, Queue},
    values::outcome::RetryableError,
};
use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};
use tokio::time::Instant;

/// The shortest time for which a received message is hidden: longer than ten messages take at one
/// per second.
const HIDDEN_FOR: Duration = Duration::from_mins(1);
/// The longest time for which SQS hides a received message.
const LONGEST: Duration = Duration::from_hours(12);

/// The limits of a redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Looks at the first few messages and moves nothing.
    pub dry_run: bool,
    /// The most messages to move.
    pub messages: usize,
    /// Moves only messages that name one of these events or receipts.
    pub only: Option<BTreeSet<String>>,
}

/// Asked after each moved message whether the run is over.
pub type IsOver<'a> = dyn FnMut(&Redriven) -> bool + Send + 'a;

/// The result of a redrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redriven {
    /// True if nothing was moved and the numbers show a preview.
    pub dry_run: bool,
    /// Number of messages that were moved or, in a dry run, seen and movable.
    pub moved: usize,
    /// The first ids among them.
    pub first: Vec<String>,
    /// Number of messages that are not understood and stay.
    pub not_ours: usize,
    /// Number of messages that name another id and stay.
    pub others: usize,
    /// Approximate number of messages in the queue now, including hidden ones.
    pub depth: Option<u64>,
    /// The error that stopped the run. The counted messages were moved before it.
    pub stopped: Option<RetryableError>,
}

/// The verdict about one message.
enum Verdict<J> {
    Move(J),
    NotOurs,
    Other,
}

fn judge<J: Job>(body: &str, only: Option<&BTreeSet<String>>) -> Verdict<J> {
    match serde_json::from_str::<J>(body) {
        Err(_) => Verdict::NotOurs,
        Ok(job) if only.is_some_and(|only| !only.contains(&*job.subject())) => Verdict::Other,
        Ok(job) => Verdict::Move(job),
    }
}

/// Sends each message to the work queue, then deletes it here, one after the other.
///
/// After an interruption between the two steps, one message is in both queues, which does no harm.
/// No message is ever in neither. Two operators at once share the messages. A message that is not
/// understood stays, for an operator to delete.
///
/// The run ends when the queue returns no more messages. The remaining messages are hidden for a
/// minute, or for as long as the run lasted, and can be received again afterwards.
pub async fn redrive<J: Job>(
    letters: &impl DeadLetters,
    queue: &impl Queue<J>,
    bounds: &Bounds,
    pace: &mut Pace,
) -> Redriven {
    redrive_until(letters, queue, bounds, pace, &mut |_| false).await
}

/// As [`redrive`], until `is_over` says so.
pub async fn redrive_until<J: Job>(
    letters: &impl DeadLetters,
    queue: &impl Queue<J>,
    bounds: &Bounds,
    pace: &mut Pace,
    is_over: &mut IsOver<'_>,
) -> Redriven {
    let mut redriven = Redriven {
        dry_run: bounds.dry_run,
        ..Redriven::default()
    };
    let moved = if bounds.dry_run {
        look::<J>(letters, bounds, &mut redriven).await
    } else {
        move_all(letters, queue, bounds, pace, is_over, &mut redriven).await
    };
    redriven.stopped = moved.err();
    // Only informative: the other numbers are true without it.
    redriven.depth = letters.depth().await.ok();
    redriven
}

async fn look<J: Job>(
    letters: &impl DeadLetters,
    bounds: &Bounds,
    redriven: &mut Redriven,
) -> Result<(), RetryableError> {
    for letter in letters
        .receive(Duration::ZERO)
        .await?
        .into_iter()
        .take(bounds.messages)
    {
        match judge::<J>(&letter.body, bounds.only.as_ref()) {
            Verdict::Move(job) => redriven.count(job.subject()),
            Verdict::NotOurs => redriven.not_ours += 1,
            Verdict::Other => redriven.others += 1,
        }
    }
    Ok(())
}

async fn move_all<J: Job>(
    letters: &impl DeadLetters,
    queue: &impl Queue<J>,
    bounds: &Bounds,
    pace: &mut Pace,
    is_over: &mut IsOver<'_>,
    redriven: &mut Redriven,
) -> Result<(), RetryableError> {
    let began = Instant::now();
    // Remaining messages are received again, perhaps before unseen ones, so "only known messages"
    // does not mean "no new messages". The longer a run lasts, the longer it hides messages, until
    // the queue returns none.
    let mut left = BTreeSet::new();
    while redriven.moved < bounds.messages {
        let received = letters
            .receive((HIDDEN_FOR + began.elapsed()).min(LONGEST))
            .await?;
        if received.is_empty() {
            break;
        }
        for letter in received {
            match judge::<J>(&letter.body, bounds.only.as_ref()) {
                Verdict::Move(job) => {
                    pace.turn().await;
                    queue.send(&job).await?;
                    redriven.count(job.subject());
                    letters.delete(&letter).await?;
                    if is_over(redriven) || redriven.moved == bounds.messages {
                        return Ok(());
                    }
                }
                Verdict::NotOurs => {
                    redriven.not_ours += usize::from(left.insert(letter.message_id));
                }
                Verdict::Other => redriven.others += usize::from(left.insert(letter.message_id)),
            }
        }
    }
    Ok(())
}

impl Redriven {
    fn count(&mut self, subject: Cow<'_, str>) {
        self.moved += 1;
        if self.first.len() < NAMED {
            self.first.push(subject.into_owned());
        }
    }
}

impl fmt::Display for Redriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dry_run,
            moved,
            first,
            not_ours,
            others,
            depth,
            stopped,
        } = self;
        write!(
            f,
            "{moved} messages {}",
            if *dry_run {
                "would be moved, of the first few"
            } else {
                "moved"
            }
        )?;
        names(f, first, *moved)?;
        if *not_ours > 0 {
            write!(
                f,
                "\n  {not_ours} left: not understood, for an operator to delete"
            )?;
        }
        if *others > 0 {
            write!(f, "\n  {others} left: about other ids")?;
        }
        if let Some(depth) = depth {
            write!(f, "\n  about {depth} in the queue now")?;
        }
        match stopped {
            Some(error) => write!(f, "\nstopped: {error}"),
            None => Ok(()),
        }
    }
}
