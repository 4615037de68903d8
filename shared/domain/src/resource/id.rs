//! The kind and id of a mirrored thing, and the key of its row.

use crate::values::ids::{
    BadId, CheckoutSessionId, InvoiceId, MerchantId, PaymentMethodId, TransactionId,
};
use std::{fmt, str::FromStr};

/// The kind and id of a mirrored thing. Its text is the key of its row: `invoice#inv_1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceId {
    Transaction(TransactionId),
    Invoice(InvoiceId),
    PaymentMethod(PaymentMethodId),
    Merchant(MerchantId),
    CheckoutSession(CheckoutSessionId),
}

impl ResourceId {
    /// The key of the row: `invoice#inv_1`.
    #[must_use]
    pub fn key(&self) -> String {
        let (kind, id) = self.parts();
        format!("{kind}#{id}")
    }

    /// Kind and id, as a log shows them.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Transaction(id) => ("transaction", id.as_str()),
            Self::Invoice(id) => ("invoice", id.as_str()),
            Self::PaymentMethod(id) => ("payment_method", id.as_str()),
            Self::Merchant(id) => ("merchant", id.as_str()),
            Self::CheckoutSession(id) => ("checkout_session", id.as_str()),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

/// The reason why a text is not the key of a mirrored thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResourceId {
    #[error("key begins with no known kind and `#`")]
    Kind,
    #[error(transparent)]
    Id(#[from] BadId),
}

impl FromStr for ResourceId {
    type Err = BadResourceId;

    fn from_str(key: &str) -> Result<Self, BadResourceId> {
        let (kind, id) = key.split_once('#').ok_or(BadResourceId::Kind)?;
        Ok(match kind {
            "transaction" => Self::Transaction(TransactionId::new(id)?),
            "invoice" => Self::Invoice(InvoiceId::new(id)?),
            "payment_method" => Self::PaymentMethod(PaymentMethodId::new(id)?),
            "merchant" => Self::Merchant(MerchantId::new(id)?),
            "checkout_session" => Self::CheckoutSession(CheckoutSessionId::new(id)?),
            _ => return Err(BadResourceId::Kind),
        })
    }
}
