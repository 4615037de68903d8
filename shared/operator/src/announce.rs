//! Publishes announcements again, for a system that lost them.
//!
//! A published batch becomes unpublished; the announcing function publishes it within a minute, with the same ids.

use crate::{MOST_PAGES, endless};
use domain::{
    ports::{AnnouncementAdmin, Changed},
    values::outcome::RetryableError,
};
use jiff::Timestamp;
use std::fmt;

/// The limits of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Only counts.
    pub dry_run: bool,
    /// The changes from this time on.
    pub since: Timestamp,
    /// The most batches.
    pub batches: usize,
    /// Continues where an earlier run ended: its [`Announced::cursor`].
    pub after: Option<String>,
}

/// The result of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    pub dry_run: bool,
    /// The batches that are published again.
    pub batches: usize,
    /// The place to continue; `None` if the whole table was read.
    pub cursor: Option<String>,
    /// The error that stopped the run. The counted batches were handled before it.
    pub stopped: Option<RetryableError>,
}

/// Publishes the announcements since a time again. A run that stops continues at its cursor, and repeats no harm.
pub async fn announce(batches: &impl AnnouncementAdmin, bounds: &Bounds) -> Announced {
    let mut announced = Announced {
        dry_run: bounds.dry_run,
        cursor: bounds.after.clone(),
        ..Announced::default()
    };
    announced.stopped = run(batches, bounds, &mut announced).await.err();
    announced
}

async fn run(
    batches: &impl AnnouncementAdmin,
    bounds: &Bounds,
    announced: &mut Announced,
) -> Result<(), RetryableError> {
    for _ in 0..MOST_PAGES {
        let after = announced.cursor.as_deref();
        let page = batches.published_since(bounds.since, after).await?;
        for place in &page.batches {
            if bounds.dry_run || batches.publish_again(&place.batch_id).await? == Changed::Now {
                announced.batches += 1;
            }
        }
        announced.cursor = page.next;
        if announced.cursor.is_none() || announced.batches >= bounds.batches {
            return Ok(());
        }
    }
    Err(endless("Announcements"))
}

impl fmt::Display for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = if self.dry_run { "would be" } else { "are" };
        write!(
            f,
            "the announcements of {} changes {would} published again",
            self.batches
        )?;
        if let Some(error) = &self.stopped {
            write!(f, "\nstopped: {error}")?;
        }
        match &self.cursor {
            Some(cursor) => write!(f, "\nthere may be more: continue after {cursor}"),
            None => Ok(()),
        }
    }
}
