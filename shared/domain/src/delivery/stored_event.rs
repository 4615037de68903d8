//! The row of the Events table.

use crate::delivery::Delivery;
use crate::delivery::event::Change;
use crate::delivery::event::Reading;
use crate::delivery::job::Handoff;
use crate::delivery::reference_state::reference_state;
use crate::values::class::Class;
use crate::values::ids::DeliveryId;
use crate::values::ids::EventId;
use crate::values::ids::ReferenceState;
use crate::values::note::Notes;
use crate::values::provider::ProviderId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of a stored event.
///
/// ```text
/// stored ──▶ committed ──▶ processed
///    └─────▶ parked ──▶ dropped         (an operator drops it)
/// parked                                (at intake: a member is not understood)
/// not_needed, unhandled, unreadable     (ends at intake)
/// ```
///
/// An operator can return an event that has ended or is parked to `stored`; it is then decided again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventState {
    /// Waits for fulfillment.
    Stored,
    /// Its effects are committed; the receipt may not be queued yet.
    Committed,
    /// Nothing is left to do.
    Processed,
    /// A person decides, or reconcile retries it once its thing is listed.
    Parked,
    /// An operator ended it without an effect.
    Dropped,
    /// The type is known and needs no action.
    NotNeeded,
    /// The type is unknown.
    Unhandled,
    /// The body can never be understood.
    Unreadable,
}

impl EventState {
    /// True if fulfillment still has work to do.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        match self {
            Self::Stored | Self::Committed => true,
            Self::Processed
            | Self::Parked
            | Self::Dropped
            | Self::NotNeeded
            | Self::Unhandled
            | Self::Unreadable => false,
        }
    }

    /// True if the row may expire after its retention. Open work never expires.
    #[must_use]
    pub fn may_expire(self) -> bool {
        match self {
            Self::Processed
            | Self::Dropped
            | Self::NotNeeded
            | Self::Unhandled
            | Self::Unreadable => true,
            Self::Stored | Self::Committed | Self::Parked => false,
        }
    }

    /// True if the table's index lists it. The index holds open events. It also holds dropped ones, because reconcile
    /// must not take those for missing.
    #[must_use]
    pub fn is_open(self) -> bool {
        !self.may_expire() || self == Self::Dropped
    }
}

/// The delivery id of a recovered event: there was no delivery.
pub const RECOVERED: &str = "reconcile";

/// The row of the Events table: a delivery with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The key; see [`Delivery::key`].
    pub event_id: EventId,
    pub provider: ProviderId,
    /// The carrier's id of the first delivery.
    pub delivery_id: DeliveryId,
    /// The type, if the body could be read.
    pub event_type: Option<String>,
    /// The state of a thing that it states, if a list of the provider may show the same. `None` on rows of an older
    /// version.
    pub subject: Option<ReferenceState>,
    /// When it happened, if stated.
    pub occurred_at: Option<Timestamp>,
    /// The time of the first delivery.
    pub received_at: Timestamp,
    /// The bytes that were signed.
    pub body: Vec<u8>,
    /// See [`crate::values::fingerprint::fingerprint`].
    pub fingerprint: String,
    pub state: EventState,
    /// The reason that it is parked or unreadable, or that the last attempt failed.
    pub reason: Option<String>,
    /// The class of the reason. `None` without a reason, or on rows of an older version.
    pub class: Option<Class>,
    /// The number of failed attempts since it was stored, or since an operator returned it to `stored`.
    pub attempts: u32,
    /// The operators' latest actions.
    pub notes: Notes,
    /// The messages to send, once its effects are committed.
    pub outbox: Vec<Handoff>,
}

impl StoredEvent {
    /// The time of its facts: by the provider's clock if stated, else by ours.
    #[must_use]
    pub fn stated_at(&self) -> Timestamp {
        self.occurred_at.unwrap_or(self.received_at)
    }

    /// True if reconcile made the event, because a listed thing is missing here.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.delivery_id.as_str() == RECOVERED
    }

    /// The messages of an attempt that committed and stopped before it marked the event.
    #[must_use]
    pub fn unsent(&self) -> Option<&[Handoff]> {
        (self.state == EventState::Committed).then_some(&self.outbox)
    }

    /// The row for a delivery that is seen for the first time.
    #[must_use]
    pub fn first(delivery: &Delivery) -> Self {
        let (state, reason, event) = match &delivery.reading {
            Reading::Event(event) => match &event.change {
                Change::NotNeeded => (EventState::NotNeeded, None, Some(event)),
                Change::Unhandled => (EventState::Unhandled, None, Some(event)),
                // One for a partner's app is not ours. Fulfillment ends it, and alarms.
                Change::NotUnderstood(why) if !event.scope.is_for_partner => {
                    (EventState::Parked, Some(why.to_string()), Some(event))
                }
                _ => (EventState::Stored, None, Some(event)),
            },
            Reading::Unreadable(why) => (EventState::Unreadable, Some(why.to_string()), None),
        };
        Self {
            event_id: delivery.key(),
            provider: delivery.provider.clone(),
            delivery_id: delivery.delivery_id.clone(),
            event_type: event.map(|event| event.event_type.clone()),
            subject: event.and_then(|event| reference_state(&event.change)),
            occurred_at: event.and_then(|event| event.occurred_at),
            received_at: delivery.received_at,
            body: delivery.body.clone(),
            fingerprint: delivery.fingerprint.clone(),
            state,
            class: reason.is_some().then_some(Class::Unreadable),
            reason,
            attempts: 0,
            notes: Notes::default(),
            outbox: Vec::new(),
        }
    }

    /// The row beside the first one, for another body under the same id. It is parked, never merged.
    #[must_use]
    pub fn beside(delivery: &Delivery) -> Self {
        Self {
            event_id: delivery.key_beside(),
            state: EventState::Parked,
            class: Some(Class::OtherBody),
            reason: Some(format!(
                "another body came under the id {} of an earlier event",
                delivery.key()
            )),
            ..Self::first(delivery)
        }
    }
}
