//! The queue messages. They carry a version and an id, never facts: the worker reads the current
//! state when it runs.
//!
//! Messages outlive a deployment (a dead-letter queue keeps them for 14 days). Versions are
//! therefore added and never changed.

use crate::values::ids::{CustomerId, EventId, ReceiptId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_with::skip_serializing_none;
use std::borrow::Cow;

/// Work for fulfillment.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum FulfillmentJob {
    /// A stored event waits.
    #[serde(rename = "1")]
    V1 { event_id: EventId },
    /// A customer is to be erased. The Events table is read from the event `after` on, in the table's order.
    #[serde(rename = "erasure-1")]
    EraseV1 {
        /// The event that asked for it.
        event_id: EventId,
        customer_id: CustomerId,
        after: Option<EventId>,
    },
}

/// Work for receipts: a committed receipt waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum ReceiptJob {
    #[serde(rename = "1")]
    V1 { receipt_id: ReceiptId },
}

/// A message for the next stage, kept in the outbox of the event's row until it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Handoff {
    /// A receipt to send: [`ReceiptJob`].
    Receipt { receipt_id: ReceiptId },
    /// A customer to erase in all tables: [`FulfillmentJob::EraseV1`].
    Erasure { customer_id: CustomerId },
}

/// A message from one function to another.
pub trait Job: Serialize + DeserializeOwned + Send + Sync {
    /// The id in the message, for the log.
    fn subject(&self) -> Cow<'_, str>;
}

impl Job for FulfillmentJob {
    fn subject(&self) -> Cow<'_, str> {
        let (Self::V1 { event_id } | Self::EraseV1 { event_id, .. }) = self;
        event_id.as_str().into()
    }
}

impl Job for ReceiptJob {
    fn subject(&self) -> Cow<'_, str> {
        let Self::V1 { receipt_id } = self;
        receipt_id.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_of_a_fulfillment_job_is_frozen() {
        let job = FulfillmentJob::V1 {
            event_id: EventId::new("fevt_1").unwrap(),
        };
        let wire = r#"{"version":"1","event_id":"fevt_1"}"#;
        assert_eq!(serde_json::to_string(&job).unwrap(), wire);
        assert_eq!(serde_json::from_str::<FulfillmentJob>(wire).unwrap(), job);
        assert_eq!(job.subject(), "fevt_1");
    }

    #[test]
    fn the_wire_of_an_erasure_is_frozen() {
        let job = FulfillmentJob::EraseV1 {
            event_id: EventId::new("fevt_1").unwrap(),
            customer_id: CustomerId::new("fcus_1").unwrap(),
            after: EventId::new("fevt_0").ok(),
        };
        let wire = r#"{"version":"erasure-1","event_id":"fevt_1","customer_id":"fcus_1","after":"fevt_0"}"#;
        assert_eq!(serde_json::to_string(&job).unwrap(), wire);
        assert_eq!(serde_json::from_str::<FulfillmentJob>(wire).unwrap(), job);
        assert_eq!(job.subject(), "fevt_1");
    }

    #[test]
    fn the_wire_of_a_receipt_job_is_frozen() {
        let job = ReceiptJob::V1 {
            receipt_id: ReceiptId::new("fcs_1-order").unwrap(),
        };
        let wire = r#"{"version":"1","receipt_id":"fcs_1-order"}"#;
        assert_eq!(serde_json::to_string(&job).unwrap(), wire);
        assert_eq!(serde_json::from_str::<ReceiptJob>(wire).unwrap(), job);
        assert_eq!(job.subject(), "fcs_1-order");
    }

    #[test]
    fn a_member_added_later_does_not_stop_an_old_reader() {
        let wire = r#"{"version":"1","event_id":"fevt_1","hint":true}"#;
        assert!(serde_json::from_str::<FulfillmentJob>(wire).is_ok());
    }
}
