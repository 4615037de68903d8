//! A dead-letter queue's messages, back to their work queue.
//!
//! SQS can move them itself (`StartMessageMoveTask`), all of them, one task a queue. This looks at each message, goes as
//! fast as it is told, and can say beforehand what it would do. A report of SES's goes back whole.

use crate::{NAMED, names, pace::Pace};
use domain::{
    delivery::job::Job,
    ports::{DeadLetters, Queue},
    values::outcome::RetryableError,
};
use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};
use tokio::time::Instant;

/// How long a received message is hidden at least: longer than ten messages take at one a second.
const HIDDEN_FOR: Duration = Duration::from_mins(1);
/// The longest that SQS hides a message from when it was received.
const LONGEST: Duration = Duration::from_hours(12);

/// Which messages, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Looks at the first few and moves nothing.
    pub dry_run: bool,
    /// So many at most.
    pub messages: usize,
    /// Only those that name one of these events or receipts.
    pub only: Option<BTreeSet<String>>,
}

/// What a redrive came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// Whether nothing was moved, and this is what was seen of what would be.
    pub dry_run: bool,
    /// How many were moved, or would be, of those that were looked at.
    pub moved: usize,
    /// What the first of them are about.
    pub first: Vec<String>,
    /// How many were left because nobody here can read them.
    pub not_ours: usize,
    /// How many were left because they name something else than was asked for.
    pub others: usize,
    /// About how many the queue holds now, those that are hidden among them.
    pub depth: Option<u64>,
    /// What stopped it. What is counted was done all the same.
    pub stopped: Option<RetryableError>,
}

/// What is to be done with a message.
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
/// Stopped in between, one message is in both, and one too many does no harm; nothing is ever in neither. Two operators
/// at once share the messages. What nobody here can read stays, for a person to delete.
///
/// It ends when the queue has nothing more to show. What is left there is hidden from everybody for a minute, or for as
/// long as the run has lasted, and can be received again afterwards.
pub async fn redrive<J: Job>(
    letters: &impl DeadLetters,
    queue: &impl Queue<J>,
    bounds: &Bounds,
    pace: &mut Pace,
) -> Redriven {
    let mut redriven = Redriven {
        dry_run: bounds.dry_run,
        moved: 0,
        first: Vec::new(),
        not_ours: 0,
        others: 0,
        depth: None,
        stopped: None,
    };
    let moved = if bounds.dry_run {
        look::<J>(letters, bounds, &mut redriven).await
    } else {
        move_all(letters, queue, bounds, pace, &mut redriven).await
    };
    redriven.stopped = moved.err();
    // Only told: without it the rest is as true.
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
    redriven: &mut Redriven,
) -> Result<(), RetryableError> {
    let began = Instant::now();
    // What is left comes again, perhaps before what nobody has seen: that nothing new came does not mean that there is
    // nothing new. So the longer a run lasts the longer it hides, until there comes nothing at all.
    let mut left = BTreeSet::new();
    while redriven.moved < bounds.messages {
        let received = letters
            .receive((HIDDEN_FOR + began.elapsed()).min(LONGEST))
            .await?;
        if received.is_empty() {
            break;
        }
        for letter in received {
            if redriven.moved == bounds.messages {
                break;
            }
            match judge::<J>(&letter.body, bounds.only.as_ref()) {
                Verdict::Move(job) => {
                    pace.turn().await;
                    queue.send(&job).await?;
                    redriven.count(job.subject());
                    letters.delete(&letter).await?;
                }
                Verdict::NotOurs => {
                    redriven.not_ours += usize::from(left.insert(letter.message_id))
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
            write!(f, "\n  {not_ours} left: not ours, for a person to delete")?;
        }
        if *others > 0 {
            write!(f, "\n  {others} left: about something else")?;
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
