//! The pace of a bulk action: replays must leave room for new events.

use std::{num::NonZeroU32, time::Duration};
use tokio::time::Instant;

/// A limit of actions per second, evenly spaced.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// Allows at most `most` actions per second.
    #[must_use]
    pub fn per_second(most: NonZeroU32) -> Self {
        Self {
            gap: Duration::from_secs(1) / most.get(),
            next: None,
        }
    }

    /// Waits for the next turn. Late turns are not caught up.
    pub async fn turn(&mut self) {
        if let Some(next) = self.next {
            tokio::time::sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_evenly_and_none_is_made_up_for() {
        let mut pace = Pace::per_second(NonZeroU32::new(4).unwrap());
        let began = Instant::now();
        for _ in 0..9 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed().as_millis(), 2000);
        tokio::time::advance(Duration::from_secs(5)).await;
        for _ in 0..3 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed().as_millis(), 7500, "at once, and two gaps");
    }
}
