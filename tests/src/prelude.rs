//! The names that most tests use: the vocabulary of the domain, the world in memory and the example shop.

pub use crate::{
    assert_matches,
    drive::Bundle,
    fakes::{
        Fault::{self, Conflict, FailAfter, FailBefore, StopAfter, StopBefore, Throttled, Twice},
        Hop, Kept, World,
    },
    life::Life,
    play::{Play, number, play, until},
    shop::{Purchase, id, sample},
    shorthand::{
        assert_says, event_id, failed_for, leased_by, operator_note, sent_as, unsent_for,
        withdrawn_for,
    },
    stack::{Ports, Stack},
    story::{BEGIN, Delivery, End, ON_HAND, open_shop, purchase, sale, sku},
};
pub use domain::{
    access::{contact::Contact, subscription::Subscription},
    delivery::{
        event::Reading,
        job::{FulfillmentJob, Job, ReceiptJob},
        stored_event::{
            EventState::{self, NotNeeded, Parked, Processed, Stored, Unhandled, Unreadable},
            StoredEvent,
        },
    },
    fulfillment::{
        commit::Commit,
        read_set::{ReadSet, Snapshot},
    },
    ports::{Changed, Clock as _, Committed, Recorded, Settlement},
    receipt::{
        OnUnknown, Receipt, ReceiptKind, ReceiptState, ReceiptStatus,
        feedback::{AddressHash, Suppression},
    },
    sale::{
        amounts::PartPayment,
        order::{Order, OrderFunds, OrderKind, OrderState, Period},
        restock::RestockPolicy,
        statement::{Certification, Eligibility, Sale, SaleStatus},
    },
    values::{
        class::Class,
        fingerprint::fingerprint,
        ids::{
            CustomerId, DeliveryId, EventId, InvoiceId, MessageId, OrderId, OwnerToken,
            PaymentIntentId, ProductId, ReceiptId, RefundId, Sku, SubscriptionId,
        },
        mode::Mode,
        note::{Action, Noted, Notes},
        outcome::{Outcome, ReadError, RetryableError},
        provider::ProviderId,
    },
};
pub use futures_util::future::join_all;
pub use jiff::{SignedDuration, Timestamp};
pub use mail::SendError;
pub use serde_json::{Value, json};
pub use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
