//! The forms of mails.

use domain::{
    receipt::ReceiptKind,
    sale::order::{Order, OrderKind},
};
use std::fmt;

/// The form of a mail, with three templates each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The receipt for an order.
    Receipt,
    /// The receipt for a renewal.
    Renewal,
    /// The receipt for a refund.
    Refund,
    /// The correction of a refund that failed after it succeeded.
    RefundFailed,
    /// The notice that the payment of a renewal failed.
    PaymentFailed,
    /// The notice that a payment of an invoice failed.
    InvoicePaymentFailed,
    /// The notice that goods were sent or wait for the customer.
    Shipment,
    /// The notice that a trial ends.
    TrialEnds,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 8] = [
        Self::Receipt,
        Self::Renewal,
        Self::Refund,
        Self::RefundFailed,
        Self::PaymentFailed,
        Self::InvoicePaymentFailed,
        Self::Shipment,
        Self::TrialEnds,
    ];

    /// The form for a mail of this kind about the order.
    #[must_use]
    pub fn of(kind: &ReceiptKind, order: &Order) -> Self {
        match kind {
            ReceiptKind::Order if order.kind == OrderKind::Renewal => Self::Renewal,
            ReceiptKind::Order => Self::Receipt,
            ReceiptKind::Refund { .. } => Self::Refund,
            ReceiptKind::RefundFailed { .. } => Self::RefundFailed,
            ReceiptKind::PaymentFailed { .. } => Self::PaymentFailed,
            ReceiptKind::InvoicePaymentFailed { .. } => Self::InvoicePaymentFailed,
            ReceiptKind::Shipment { .. } => Self::Shipment,
            ReceiptKind::TrialEnds { .. } => Self::TrialEnds,
        }
    }

    /// The name, which is also the folder of the built-in templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Renewal => "renewal",
            Self::Refund => "refund",
            Self::RefundFailed => "refund-failed",
            Self::PaymentFailed => "payment-failed",
            Self::InvoicePaymentFailed => "invoice-payment-failed",
            Self::Shipment => "shipment",
            Self::TrialEnds => "trial-ends",
        }
    }

    /// The subfolder of a merchant's templates. The order's receipt lies at the top.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Receipt => "",
            form => form.name(),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
