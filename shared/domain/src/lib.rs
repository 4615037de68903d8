//! The rules of the product: pure functions over plain values.
//!
//! The rooms, in reading order; a room uses only rooms before it:
//!
//! - [`values`]: identifiers, money, mode, provider, stamped facts, outcomes and errors.
//! - [`resource`]: the provider's other things as rows: transactions, invoices, payment methods, merchants, checkout sessions.
//! - [`sale`]: an order with its lines, payments, refunds, disputes and stock.
//! - [`access`]: a subscription, the entitlements that follow from it, and the customer's contact data.
//! - [`delivery`]: a signed request, the event in it, the stored event, and the queue messages.
//! - [`receipt`]: the life cycle of a mail, and the feedback of SES.
//! - [`fulfillment`]: what to read and what to decide for each kind of change, and the commit.
//! - [`announcement`]: what the merchant's other systems learn of each change.
//! - [`upkeep`]: what sweep and reconcile look for.
//!
//! [`ports`] are the interfaces to the world. Nothing in this crate waits, reads a clock or an environment variable, or
//! knows AWS, HTTP or the JSON of a provider.

pub mod values;

pub mod resource;

pub mod sale;

pub mod access;

pub mod delivery;

pub mod receipt;

pub mod fulfillment;

pub mod announcement;

pub mod upkeep;

pub mod ports;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
