//! Corrects the address of an order, or ends the suppression of an address.

use crate::note::Note;
use domain::{
    ports::{Changed, Orders, Suppressions, admin::OrderSearch},
    receipt::feedback::{AddressHash, Suppression},
    values::{ids::OrderId, note::Action, outcome::RetryableError},
};
use jiff::Timestamp;
use std::fmt;

/// The result of correcting an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrected {
    Now,
    /// There is no order with this id.
    Unknown,
    /// The customer's data is erased, and stays so.
    Erased,
    /// The order has this address already.
    Same,
    /// The order changed since the operator saw it: look at it again.
    Changed {
        /// The current version.
        version: u64,
    },
}

/// Replaces the address of an order, if it did not change since the operator saw it (`seen_version`). The receipt of a
/// live sale goes there; every other mail goes to the customer's current address at the provider.
pub async fn correct(
    orders: &(impl Orders + OrderSearch),
    id: &OrderId,
    seen_version: u64,
    email: &str,
    note: &Note,
) -> Result<Corrected, RetryableError> {
    let Some(order) = orders.order(id).await? else {
        return Ok(Corrected::Unknown);
    };
    if order.is_erased {
        return Ok(Corrected::Erased);
    }
    if order.customer.email.as_deref() == Some(email) {
        return Ok(Corrected::Same);
    }
    if order.version != seen_version {
        return Ok(Corrected::Changed {
            version: order.version,
        });
    }
    let noted = note.did(Action::AddressCorrected);
    let corrected = orders.correct_address(&order, email, &noted);
    Ok(match corrected.await? {
        Changed::Now => Corrected::Now,
        Changed::Raced => Corrected::Changed {
            version: order.version + 1,
        },
    })
}

/// The result of clearing an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    Now,
    /// The address is not suppressed.
    NotSuppressed,
    /// The recipient complained: clear it only if the customer asks for mail.
    Complained,
}

/// Ends the suppression of an address. An address whose recipient complained is cleared only if `customer_asked`.
pub async fn clear(
    links: &impl Suppressions,
    email: &str,
    customer_asked: bool,
    dry_run: bool,
    now: Timestamp,
) -> Result<Cleared, RetryableError> {
    let address = AddressHash::of(email);
    let known = links.suppression(&address).await?;
    let Some(known) = known.filter(|known| known.reason().is_some()) else {
        return Ok(Cleared::NotSuppressed);
    };
    if known.complained_at > known.cleared_at && !customer_asked {
        return Ok(Cleared::Complained);
    }
    if !dry_run {
        let cleared = Suppression {
            cleared_at: Some(now),
            ..Suppression::of(address)
        };
        links.suppress(&cleared).await?;
    }
    Ok(Cleared::Now)
}

impl fmt::Display for Corrected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("the order has the new address"),
            Self::Unknown => f.write_str("no such order"),
            Self::Erased => f.write_str("unchanged: the customer's data is erased"),
            Self::Same => f.write_str("unchanged: the order has this address already"),
            Self::Changed { version } => write!(
                f,
                "unchanged: the order has changed, to version {version}; look at it again"
            ),
        }
    }
}

impl fmt::Display for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "the address gets mail again",
            Self::NotSuppressed => "unchanged: the address is not suppressed here",
            Self::Complained => {
                "unchanged: the recipient reported a mail as spam; clear it only if the customer asks"
            }
        })
    }
}
