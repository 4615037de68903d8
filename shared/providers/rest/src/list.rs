//! Lists that are read page by page.

use jiff::{SignedDuration, Timestamp};

/// True if all things after a page are older than `since`, by the times of the page's things; `None` if one states none.
///
/// No reference states the order of the lists. The test therefore holds only if the page itself goes from newer to
/// older.
#[must_use]
pub fn is_past(since: Timestamp, times: Option<Vec<Timestamp>>) -> bool {
    // An hour allows for different clocks.
    let hour = SignedDuration::from_hours(1);
    let since = since.saturating_sub(hour).unwrap_or(since);
    times.is_some_and(|times| {
        times.is_sorted_by(|one, next| one >= next)
            && times.first() > times.last()
            && times.first().is_some_and(|newest| *newest < since)
    })
}
