//! The things that the stand-in for Flint knows.
#![expect(
    clippy::expect_used,
    reason = "what a test puts in must have an id, or the test is wrong"
)]

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, io, path::Path};

/// The mode of a key, and of the data that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Test,
    Live,
}

/// A kind of thing, as its path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Orders,
    PaymentIntents,
    Refunds,
    Customers,
    Subscriptions,
    Invoices,
    /// Each names its invoice by `invoice_id`.
    PaymentAttempts,
    PaymentMethods,
    BalanceTransactions,
    Merchants,
    Capabilities,
    CheckoutSessions,
    Fulfillments,
    WebhookEvents,
    WebhookEndpoints,
}

impl Kind {
    /// The member that holds the id of such a thing.
    pub fn id(self) -> &'static str {
        match self {
            Self::Orders => "order_id",
            Self::PaymentIntents => "payment_intent_id",
            Self::Refunds => "refund_id",
            Self::Customers => "customer_id",
            Self::Subscriptions => "subscription_id",
            Self::Invoices => "invoice_id",
            Self::PaymentAttempts => "invoice_payment_attempt_id",
            Self::PaymentMethods => "payment_method_id",
            Self::BalanceTransactions => "balance_transaction_id",
            Self::Merchants => "merchant_id",
            Self::Capabilities => "capability",
            Self::CheckoutSessions => "checkout_session_id",
            Self::Fulfillments => "fulfillment_id",
            Self::WebhookEvents => "webhook_event_id",
            Self::WebhookEndpoints => "webhook_endpoint_id",
        }
    }
}

/// All things of both modes, each list oldest first.
#[derive(Debug, Clone, Default)]
pub struct FlintData(BTreeMap<(Mode, Kind), Vec<Value>>);

impl FlintData {
    /// The things of a seed file: `{"test": {"orders": […], …}}`.
    pub(super) fn seed(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let seed: BTreeMap<Mode, BTreeMap<Kind, Vec<Value>>> = serde_json::from_str(&text)?;
        let mut data = Self::default();
        for (mode, kinds) in seed {
            for (kind, things) in kinds {
                for thing in things {
                    data.put(mode, kind, thing);
                }
            }
        }
        Ok(data)
    }

    pub(super) fn put(&mut self, mode: Mode, kind: Kind, thing: Value) {
        let id = thing.get(kind.id()).and_then(Value::as_str);
        let id = id.expect("a thing has its id").to_owned();
        let list = self.0.entry((mode, kind)).or_default();
        match list.iter_mut().find(|known| known[kind.id()] == *id) {
            Some(known) => *known = thing,
            None => list.push(thing),
        }
    }

    /// Forgets a thing; `None` if there is none.
    pub(super) fn remove(&mut self, mode: Mode, kind: Kind, id: &str) -> Option<Value> {
        let list = self.0.get_mut(&(mode, kind))?;
        let place = list.iter().position(|thing| thing[kind.id()] == *id)?;
        Some(list.remove(place))
    }

    pub(super) fn get(&self, mode: Mode, kind: Kind, id: &str) -> Option<&Value> {
        self.all(mode, kind).find(|thing| thing[kind.id()] == id)
    }

    /// All things of a kind, the newest first.
    pub(super) fn all(&self, mode: Mode, kind: Kind) -> impl Iterator<Item = &Value> {
        let list = self.0.get(&(mode, kind)).into_iter().flatten();
        list.rev()
    }
}
