//! One-time access: what a purchase gives, as a function of the order's facts.

use crate::{
    access::subscription::{Access, Reason},
    sale::{
        mapping::Grant,
        order::{Order, OrderState},
    },
    values::ids::ProductId,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The end of access without an end: the first second of the year 9999. Readers compare times only.
pub const WITHOUT_END: i64 = 253_370_764_800;

/// Decides whether access stays after its money has gone back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AccessPolicy {
    /// The customer keeps it.
    Keep,
    /// It ends.
    Revoke,
}

/// The policies for the two ways of money to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessPolicies {
    pub on_full_refund: AccessPolicy,
    pub on_lost_dispute: AccessPolicy,
}

impl AccessPolicies {
    /// The customer keeps everything.
    pub const KEEP: Self = Self {
        on_full_refund: AccessPolicy::Keep,
        on_lost_dispute: AccessPolicy::Keep,
    };

    /// The reason that an order gives no access any more.
    fn revoked(self, order: &Order) -> Option<Reason> {
        if self.on_full_refund == AccessPolicy::Revoke && order.state() == OrderState::Refunded {
            return Some(Reason::Refunded);
        }
        (self.on_lost_dispute == AccessPolicy::Revoke && order.has_lost_dispute())
            .then_some(Reason::DisputeLost)
    }
}

/// The names of the access that an order gives.
#[must_use]
pub fn names(order: &Order) -> BTreeSet<ProductId> {
    let grants = order.lines.iter().filter_map(|line| line.grants.as_ref());
    grants.map(|grant| grant.name.clone()).collect()
}

/// The access of that name that an order gives now. It begins when the order is fulfilled, and each
/// unit adds its days.
#[must_use]
pub fn access(order: &Order, name: &ProductId, policies: AccessPolicies) -> Access {
    if let Some(reason) = policies.revoked(order) {
        return Access {
            until: None,
            reason,
        };
    }
    let until = order.fulfilled_at.map(|from| ends_at(from, order, name));
    Access {
        until,
        reason: Reason::Purchased,
    }
}

/// The end of what all lines of that name give together. A line without days has no end.
fn ends_at(from: Timestamp, order: &Order, name: &ProductId) -> Timestamp {
    let without_end = Timestamp::from_second(WITHOUT_END).unwrap_or(Timestamp::MAX);
    let mut lines = order.lines.iter().filter_map(|line| {
        let grant: &Grant = line.grants.as_ref()?;
        (grant.name == *name).then_some((grant.days, line.quantity))
    });
    let hours = lines.try_fold(0_i64, |sum, (days, quantity)| {
        let hours = i64::from(days?).checked_mul(24 * i64::from(quantity))?;
        sum.checked_add(hours)
    });
    let lasts = hours
        .and_then(|hours| hours.checked_mul(3_600))
        .map(SignedDuration::from_secs);
    let end = lasts.and_then(|lasts| from.checked_add(lasts).ok());
    end.map_or(without_end, |end| end.min(without_end))
}

#[cfg(test)]
mod tests;
