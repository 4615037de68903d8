//! Announcements: what the merchant's other systems learn of each change.
//!
//! An announcement is a function of a thing's state before and after a change. It has the state after the change, so
//! its reader needs no table. The announcements of one commit are stored with it, as one [`Batch`], and published
//! later. They have no personal data; the publisher adds the contact of a paid order from the order's row.

pub mod access;
pub mod event;
mod fields;
pub mod order;
pub mod personal;
pub mod receipt;
pub mod resource;
pub mod stock;

use crate::{
    announcement::{
        access::EntitlementState,
        event::EventSummary,
        order::OrderSummary,
        personal::Contact,
        receipt::ReceiptOutcome,
        resource::{InvoiceSummary, MerchantSummary, PaymentMethodSummary, SessionSummary},
        stock::StockSummary,
    },
    values::{
        facts::whole_second, ids::EventId, mode::Mode, provider::ProviderId, size::json_size,
    },
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt;

/// The most bytes of a batch that keeps the lines of its orders. A row has room for 400 KB, and an entry of `EventBridge`
/// for 256 KB (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>). The rest is room for a
/// contact.
pub const MOST_BYTES: usize = 160_000;

macro_rules! kinds {
    ($(#[doc = $doc:literal] $kind:ident = $name:literal of $thing:ident;)+) => {
        /// The kind of an announcement: the `detail-type` of its event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $(#[doc = $doc] #[serde(rename = $name)] $kind,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// The thing that it is about.
            #[must_use]
            pub fn thing(self) -> ThingType {
                match self { $(Self::$kind => ThingType::$thing,)+ }
            }

            /// When it is announced, in a sentence or two.
            #[cfg(feature = "schema")]
            #[must_use]
            pub fn when(self) -> &'static str {
                match self { $(Self::$kind => $doc.trim_ascii(),)+ }
            }
        }
    };
}

kinds!(
    /// The order waits for money, or its payment has another state.
    OrderWaiting = "order.waiting" of Order;
    /// The order is paid, and its goods are kept back.
    OrderHeld = "order.held" of Order;
    /// A part of the amount due is received.
    OrderPartPaid = "order.part_paid" of Order;
    /// A sale is paid and its goods are released. Once for each order.
    OrderPaid = "order.paid" of Order;
    /// A renewal is paid. Once for each order.
    RenewalPaid = "renewal.paid" of Order;
    /// Paid units are not in stock.
    OrderShortfall = "order.shortfall" of Order;
    /// All missing units of a SKU are deducted.
    OrderShortfallFilled = "order.shortfall_filled" of Order;
    /// The sale ended without money: canceled or expired.
    OrderCanceled = "order.canceled" of Order;
    /// A refund is new or has another status.
    OrderRefunded = "order.refunded" of Order;
    /// A dispute is new, open again or changed.
    OrderDisputed = "order.disputed" of Order;
    /// A dispute is closed: see its stage.
    DisputeClosed = "dispute.closed" of Order;
    /// The provider's fulfillment of the goods progressed.
    FulfillmentStatusChanged = "fulfillment.status_changed" of Order;
    /// Another change of the order.
    OrderChanged = "order.changed" of Order;
    /// The customer has access and had none.
    EntitlementGranted = "entitlement.granted" of Entitlement;
    /// The access lasts longer.
    EntitlementExtended = "entitlement.extended" of Entitlement;
    /// The access stopped and may come back: a pause or an unpaid renewal.
    EntitlementSuspended = "entitlement.suspended" of Entitlement;
    /// The access ended.
    EntitlementRevoked = "entitlement.revoked" of Entitlement;
    /// Another change of the access: shorter, or for another reason.
    EntitlementChanged = "entitlement.changed" of Entitlement;
    /// The counter of a SKU changed, by orders or by hand.
    StockMoved = "stock.moved" of Stock;
    /// The counter fell to its `low_at` or below.
    StockLow = "stock.low" of Stock;
    /// SES accepted a mail.
    ReceiptSent = "receipt.sent" of Receipt;
    /// The recipient's server accepted a mail.
    ReceiptDelivered = "receipt.delivered" of Receipt;
    /// A mail bounced, was rejected, or the recipient complained.
    ReceiptBounced = "receipt.bounced" of Receipt;
    /// A mail cannot be sent.
    ReceiptFailed = "receipt.failed" of Receipt;
    /// It is unknown whether a mail was sent: a person decides.
    ReceiptHeld = "receipt.held" of Receipt;
    /// A mail is no longer true, or a person closed it.
    ReceiptWithdrawn = "receipt.withdrawn" of Receipt;
    /// An event waits for a person.
    EventParked = "event.parked" of Event;
    /// A person returned an event to its work.
    EventReleased = "event.released" of Event;
    /// A person ended an event without an effect.
    EventDropped = "event.dropped" of Event;
    /// An event took effect, or waits for a person, that no delivery had brought.
    DeliveryMissed = "delivery.missed" of Event;
    /// An invoice is to be paid.
    InvoiceDue = "invoice.due" of Invoice;
    /// An invoice is paid.
    InvoicePaid = "invoice.paid" of Invoice;
    /// The merchant wrote an invoice off.
    InvoiceUncollectible = "invoice.uncollectible" of Invoice;
    /// Another change of an invoice.
    InvoiceChanged = "invoice.changed" of Invoice;
    /// A checkout ended without money, and its buyer can be brought back.
    CheckoutAbandoned = "checkout.abandoned" of CheckoutSession;
    /// A checkout was paid.
    CheckoutConverted = "checkout.converted" of CheckoutSession;
    /// Another change of a checkout.
    CheckoutChanged = "checkout.changed" of CheckoutSession;
    /// A saved payment method can be charged.
    PaymentMethodReady = "payment_method.ready" of PaymentMethod;
    /// The set-up of a payment method failed, or it expired.
    PaymentMethodFailed = "payment_method.failed" of PaymentMethod;
    /// A saved payment method is removed.
    PaymentMethodRemoved = "payment_method.removed" of PaymentMethod;
    /// Another change of a payment method.
    PaymentMethodChanged = "payment_method.changed" of PaymentMethod;
    /// The merchant's ability to take payments or receive payouts changed, or the demands of the provider did.
    MerchantReadinessChanged = "merchant.readiness_changed" of Merchant;
);

impl Kind {
    /// The version of the kind's schema. Raise it with each change that a reader may notice.
    #[must_use]
    pub fn schema_version(self) -> u32 {
        1
    }

    /// The kinds whose condition is true.
    fn that_apply(kinds: &[(bool, Self)]) -> Vec<Self> {
        let applying = kinds.iter().filter(|(applies, _)| *applies);
        applying.map(|(_, kind)| *kind).collect()
    }
}

/// The schema of a time.
#[cfg(feature = "schema")]
pub(crate) fn time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "date-time"})
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The type of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ThingType {
    Order,
    Entitlement,
    Stock,
    Receipt,
    Event,
    Invoice,
    CheckoutSession,
    PaymentMethod,
    Merchant,
}

/// The thing that an announcement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Thing {
    #[serde(rename = "type")]
    pub thing_type: ThingType,
    /// Unique among the things of its type.
    pub id: String,
    /// Grows with each change. Ignore an announcement with a smaller version than one that you have seen.
    pub version: u64,
}

/// The state of a thing after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Order(Box<OrderSummary>),
    Entitlement(EntitlementState),
    Stock(StockSummary),
    Receipt(ReceiptOutcome),
    Event(EventSummary),
    Invoice(Box<InvoiceSummary>),
    CheckoutSession(Box<SessionSummary>),
    PaymentMethod(PaymentMethodSummary),
    Merchant(MerchantSummary),
}

/// One announcement: the `detail` of its event, except the mode and personal data, which the publisher adds.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    pub kind: Kind,
    pub schema_version: u32,
    /// The same for each publication: see [`id_of`].
    pub id: String,
    /// The time of the change in this stack.
    pub occurred_at: Timestamp,
    /// The provider; absent for stock, which belongs to the merchant.
    pub provider: Option<ProviderId>,
    /// The event that caused the change, if one did.
    pub caused_by: Option<EventId>,
    pub thing: Thing,
    /// The members of the state that changed; all of them if the thing is new.
    pub changed: Vec<String>,
    #[serde(flatten)]
    pub state: State,
}

/// The id of an announcement: thing, version and kind.
#[must_use]
pub fn id_of(thing: &Thing, kind: Kind) -> String {
    format!("{}/{}/{kind}", thing.id, thing.version)
}

/// What a change has in common with its announcements.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub at: Timestamp,
    pub provider: Option<&'a ProviderId>,
    pub event_id: Option<&'a EventId>,
}

/// A change of a thing's state: its kinds, and the members that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub kinds: Vec<Kind>,
    pub changed: Vec<String>,
}

impl Cause<'_> {
    /// The announcements of a change.
    pub(crate) fn announce(
        &self,
        id: &str,
        version: u64,
        change: Change,
        state: &State,
    ) -> Vec<Announcement> {
        let Change { kinds, changed } = change;
        let announcement = |kind: Kind| {
            let thing = Thing {
                thing_type: kind.thing(),
                id: id.to_owned(),
                version,
            };
            Announcement {
                kind,
                schema_version: kind.schema_version(),
                id: id_of(&thing, kind),
                occurred_at: whole_second(self.at),
                provider: self.provider.cloned(),
                caused_by: self.event_id.cloned(),
                thing,
                changed: changed.clone(),
                state: state.clone(),
            }
        };
        kinds.into_iter().map(announcement).collect()
    }
}

/// The announcements of one commit, as a row keeps them until they are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The id of its last announcement. The first one may be that of a missed delivery, which has no version.
    pub batch_id: String,
    /// The place in the order of publication: the time of the commit, in microseconds since the epoch.
    pub place: i64,
    /// In the order of publication.
    pub announcements: Vec<Announcement>,
}

impl Batch {
    /// The batch of these announcements; `None` without any.
    #[must_use]
    pub fn new(mut announcements: Vec<Announcement>, now: Timestamp) -> Option<Self> {
        let batch_id = announcements.last()?.id.clone();
        // JSON needs more than a row for the same content.
        if json_size(&announcements) > MOST_BYTES {
            for announcement in &mut announcements {
                if let State::Order(order) = &mut announcement.state {
                    order.omit_lines();
                }
            }
        }
        Some(Self {
            batch_id,
            place: now.as_microsecond(),
            announcements,
        })
    }
}

/// An entry of the bus: one announcement, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The announcement's id.
    pub id: String,
    pub occurred_at: Timestamp,
    /// JSON.
    pub detail: String,
}

/// The most bytes of an entry, its envelope included.
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>).
pub const MOST_ENTRY_BYTES: usize = 256 * 1024;
/// The most bytes of a detail, with room for the envelope.
pub const MOST_DETAIL_BYTES: usize = MOST_ENTRY_BYTES - 1024;

/// The announcement as it is published.
#[skip_serializing_none]
#[derive(Debug, Serialize, Deserialize)]
pub struct Published {
    #[serde(flatten)]
    pub announcement: Announcement,
    pub mode: Mode,
    pub contact: Option<Contact>,
}

impl Published {
    /// Its entry: without the contact, if that would make it too large.
    pub fn entry(mut self) -> Result<Entry, NoEntry> {
        if json_size(&self) > MOST_DETAIL_BYTES {
            self.contact = None;
        }
        let detail = serde_json::to_string(&self).map_err(|_| NoEntry::NotJson)?;
        if detail.len() > MOST_DETAIL_BYTES {
            return Err(NoEntry::TooLarge(detail.len()));
        }
        Ok(Entry {
            kind: self.announcement.kind,
            id: self.announcement.id,
            occurred_at: self.announcement.occurred_at,
            detail,
        })
    }
}

/// The reason why an announcement cannot be published. It keeps no other from the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEntry {
    #[error("the announcement cannot be written as JSON")]
    NotJson,
    #[error("the announcement has {0} bytes, more than the event bus takes")]
    TooLarge(usize),
}
