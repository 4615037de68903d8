//! What a person does about what the functions could not end by themselves: functions over ports, for a command line.
//!
//! [`list`] tells what waits. An event is released, dropped or replayed ([`events`]), a dead-letter queue redriven
//! ([`redrive`]), a mail sent once more ([`resend`]), a receipt closed ([`close`]). Each returns what it did as a value that can be printed.
//!
//! None of them needs care. A row changes only if it still stands as it was read, so two operators at once come to what
//! one would have come to. A row changes before its message is sent, so whoever is stopped in between can do the same
//! again, and sweep does it if nobody does. And a message too many does no harm: every effect has a once-marker of its
//! own. The one exception is meant: [`resend`] has a customer get another mail, once for each time that it is told to.

pub mod close;
pub mod events;
pub mod list;
pub mod note;
pub mod pace;
pub mod redrive;
pub mod resend;

use std::fmt;

/// How many ids a summary names.
pub const NAMED: usize = 10;
/// How often a lost race is looked at again.
const TRIES: u32 = 3;

/// Writes `: a, b, c`, and that there are more, where there are.
fn names<T: fmt::Display>(f: &mut fmt::Formatter<'_>, names: &[T], of: usize) -> fmt::Result {
    for (n, name) in names.iter().enumerate() {
        write!(f, "{}{name}", if n == 0 { ": " } else { ", " })?;
    }
    if names.len() < of && !names.is_empty() {
        f.write_str(", …")
    } else {
        Ok(())
    }
}
