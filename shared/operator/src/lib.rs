//! The admin actions: functions over ports, for a command line.
//!
//! The module [`list`] shows open work. Events are released, dropped or replayed by [`events`]. A
//! dead-letter queue is redriven by [`redrive`], a mail is sent once more by [`resend`], and a
//! receipt is closed by [`close`]. A customer is exported or erased by [`customer`]. The reports about money, sessions and
//! merchants are in [`report`]. Each action returns its result as a printable value.
//!
//! Every action is safe to repeat. A row changes only if it is still in the state that was read, so
//! two operators at once have the effect of one. A row changes before its message is sent: an
//! interrupted action can be repeated, else sweep completes it. A surplus message does no harm,
//! because every effect has a once-marker. The one exception is intended: [`resend`] sends the
//! customer another mail, once for each request.

pub mod address;
pub mod announce;
pub mod close;
pub mod customer;
pub mod events;
pub mod list;
pub mod note;
pub mod pace;
pub mod redrive;
pub mod report;
pub mod resend;
pub mod stock;

use domain::values::outcome::RetryableError;
use std::fmt;

/// The most ids that a summary names.
pub const NAMED: usize = 10;
/// The most pages of one table or list that a run reads.
const MOST_PAGES: usize = 10_000;
/// The most attempts if other writers change the same row.
const TRIES: u32 = 3;

fn endless(table: &str) -> RetryableError {
    RetryableError::Fault(format!("{table} has more pages than a run reads"))
}

fn contended(what: &'static str) -> RetryableError {
    RetryableError::Raced { what, tries: TRIES }
}

/// Writes `: a, b, c` of the first [`NAMED`], and `, …` if there are more.
fn names<T: fmt::Display>(f: &mut fmt::Formatter<'_>, names: &[T], of: usize) -> fmt::Result {
    let shown = names.iter().take(NAMED);
    for (n, name) in shown.clone().enumerate() {
        write!(f, "{}{name}", if n == 0 { ": " } else { ", " })?;
    }
    if (1..of).contains(&shown.len()) {
        f.write_str(", …")
    } else {
        Ok(())
    }
}
