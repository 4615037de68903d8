//! Mail rendering: an order in, a complete [`Email`] out. Templates are proven at start, so none
//! fails later.
//!
//! The receipt of a sale goes to the customer that the order names. All later mails, receipts of
//! renewals too, go to the customer's current address.
//!
//! The receipt supports the substantiation of an HSA/FSA expense (Prop. Treas. Reg. §1.125-6(b), as
//! the IRS reads it in <https://www.irs.gov/pub/irs-wd/202317020.pdf>). It states merchant,
//! customer, date of sale, and for each item description, quantity, amount and eligibility. It
//! never states the reason of eligibility: no medical word leaves through this crate.
//!
//! This crate builds no MIME and sends nothing.

mod address;
mod form;
mod mailer;
mod merchant;
mod sample;
mod templates;
mod text;
mod view;

pub use address::{Address, BadAddress};
pub use form::Form;
pub use mailer::{Mailer, SendError};
pub use merchant::{BadSettings, Merchant, Problem, Setting, Settings};
pub use sample::Sample;
pub use templates::{BadTemplates, Fault, Part, Rendered, Sources, Templates};
pub use view::{
    Amount, FailedInvoiceView, FailedPaymentView, GoodsView, LineView, MerchantView, PackageView,
    PaymentView, PeriodView, RefundTotalsView, RefundView, RenewalView, ShipmentView, TEST_MARKER,
    TestView, TotalsView, TrialView, View,
};

use domain::receipt::{Receipt, ReceiptKind};
use domain::{
    access::contact::Contact,
    sale::{
        order::{Order, OrderKind},
        statement::Customer,
    },
    values::{ids::ReceiptId, mode::Mode},
};
use std::borrow::Cow;

/// A complete mail. Personal data: sent, never logged.
///
/// Every text that goes into a header is a single line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The merchant's name, displayed with `from`.
    pub from_name: String,
    pub from: Address,
    pub reply_to: Address,
    /// The customer, or the merchant's test recipient.
    pub to: Address,
    /// The customer's name, displayed with `to`.
    pub to_name: Option<String>,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Sent as a tag, so that SES feedback finds the receipt.
    pub receipt_id: ReceiptId,
    pub kind: ReceiptKind,
}

/// The reason why a mail cannot be composed. Holds no personal data, so it may be stored and
/// logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The sale has no e-mail address.
    #[error("the order has no e-mail address")]
    NoAddress,
    /// The address is invalid.
    #[error("the customer's address is {0}")]
    BadAddress(BadAddress),
    /// The provider has deleted the customer, so there is no address any more.
    #[error("the customer has been deleted")]
    Deleted,
    /// The receipt belongs to another order: sending it would show one customer's purchase to
    /// another.
    #[error("the receipt is for another order")]
    OtherOrder,
    /// A template failed on this order although it rendered every sample. The deployment is at
    /// fault, not the order, so retry after a fix.
    #[error(transparent)]
    Template(Fault),
}

/// Composes the mail of a receipt. The same arguments give the same mail.
///
/// `contact` is the customer's current contact data. The receipt of a sale ignores it and states
/// the sale as it was ([`shows_sale`]).
pub fn compose(
    order: &Order,
    receipt: &Receipt,
    contact: Option<&Contact>,
    merchant: &Merchant,
    templates: &Templates,
) -> Result<Email, Unsendable> {
    if receipt.order_id != order.order_id {
        return Err(Unsendable::OtherOrder);
    }
    let customer = match contact.filter(|_| !shows_sale(order, receipt)) {
        None => Cow::Borrowed(&order.customer),
        Some(contact) => Cow::Owned(contact.over(&order.customer).ok_or(Unsendable::Deleted)?),
    };
    let view = View::new(order, receipt, &customer, merchant);
    let (to, to_name) = match order.mode {
        Mode::Live => (address(&customer)?, view.customer_name.clone()),
        // A test payment may carry another person's address: only the merchant may see it.
        Mode::Test => (merchant.test_recipient.clone(), None),
    };
    let rendered = templates.render(Form::of(&receipt.kind, order), &view);
    let Rendered {
        subject,
        text,
        html,
    } = rendered.map_err(Unsendable::Template)?;
    Ok(Email {
        from_name: merchant.name.clone(),
        from: merchant.sender.clone(),
        reply_to: merchant.support_email.clone(),
        to,
        to_name,
        subject,
        text,
        html,
        receipt_id: receipt.receipt_id.clone(),
        kind: receipt.kind.clone(),
    })
}

/// True if the receipt shows a sale as it was, with the customer of that time.
#[must_use]
pub fn shows_sale(order: &Order, receipt: &Receipt) -> bool {
    receipt.kind == ReceiptKind::Order && order.kind == OrderKind::Sale
}

fn address(customer: &Customer) -> Result<Address, Unsendable> {
    let address = customer
        .email
        .as_deref()
        .map(str::trim)
        .filter(|address| !address.is_empty());
    address
        .ok_or(Unsendable::NoAddress)?
        .parse()
        .map_err(Unsendable::BadAddress)
}

#[cfg(test)]
mod tests;
