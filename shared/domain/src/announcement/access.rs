//! Announcements of a customer's access.

use crate::{
    access::{entitlement::Entitlement, subscription::Reason},
    announcement::{Announcement, Cause, Change, Kind, State, fields},
    values::facts::whole_second,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A customer's access to a product. Access that ends with time is not announced: compare `access_until` with your
/// clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EntitlementState {
    pub customer_id: String,
    pub product_id: String,
    /// Access exists before this moment.
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::time"))]
    pub access_until: Timestamp,
    /// The reason as a word.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub reason: Reason,
    /// The reason as a sentence.
    pub reason_text: String,
    /// The subscription or order that gives the longest access.
    pub granted_by: String,
}

impl EntitlementState {
    /// The state of an entitlement's row.
    #[must_use]
    pub fn of(row: &Entitlement) -> Self {
        Self {
            customer_id: row.customer_id.to_string(),
            product_id: row.product_id.to_string(),
            access_until: whole_second(row.access_until),
            reason: row.reason,
            reason_text: row.reason_text.clone(),
            granted_by: row.granted_by.to_string(),
        }
    }
}

/// The announcements of a change of access; none if the access stays.
#[must_use]
pub fn changed(
    before: Option<&Entitlement>,
    after: &Entitlement,
    cause: Cause<'_>,
) -> Vec<Announcement> {
    let before = before.map(EntitlementState::of);
    let state = EntitlementState::of(after);
    if before.as_ref() == Some(&state) {
        return Vec::new();
    }
    let change = Change {
        kinds: vec![kind(before.as_ref(), &state, cause.at)],
        changed: fields::changed(before.as_ref(), &state),
    };
    let id = format!("{}/{}", state.customer_id, state.product_id);
    cause.announce(&id, after.version, change, &State::Entitlement(state))
}

fn kind(before: Option<&EntitlementState>, after: &EntitlementState, at: Timestamp) -> Kind {
    let has = |state: &EntitlementState| state.access_until > at;
    let had = before.is_some_and(has);
    match (had, has(after)) {
        (false, true) => Kind::EntitlementGranted,
        (true, true) if before.is_some_and(|before| before.access_until < after.access_until) => {
            Kind::EntitlementExtended
        }
        (true, false) if may_come_back(after.reason) => Kind::EntitlementSuspended,
        (true, false) => Kind::EntitlementRevoked,
        (true, true) | (false, false) => Kind::EntitlementChanged,
    }
}

/// True if the access stopped for a reason that the customer or the merchant can end.
fn may_come_back(reason: Reason) -> bool {
    match reason {
        Reason::Grace | Reason::PaymentFailed | Reason::Paused | Reason::NotPaidYet => true,
        Reason::Paid
        | Reason::Trial
        | Reason::CancelsAtPeriodEnd
        | Reason::CanceledButPaid
        | Reason::NotInPlan
        | Reason::Ended
        | Reason::Purchased
        | Reason::Refunded
        | Reason::DisputeLost
        | Reason::UnknownStatus => false,
    }
}
