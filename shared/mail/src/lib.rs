//! A receipt as a mail: an order in, a complete [`Email`] out, with no template left to fail later.
//!
//! An order's receipt goes to whom the order names. All that follows goes to where the customer is reached now.
//!
//! Fit for the substantiation of an HSA/FSA expense (Prop. Treas. Reg. §1.125-6(b), as the IRS reads it in
//! <https://www.irs.gov/pub/irs-wd/202317020.pdf>): merchant, customer, date of sale, and for each item what it
//! is, how many, for how much, and whether it is eligible. Never why: no medical word leaves through here.
//!
//! Builds no MIME and sends nothing.

mod address;
mod mailer;
mod merchant;
mod sample;
mod templates;
mod text;
mod view;

pub use address::{Address, BadAddress};
pub use mailer::{Mailer, SendError};
pub use merchant::{BadSettings, Merchant, Problem, Setting, Settings};
pub use sample::Sample;
pub use templates::{BadTemplates, Fault, Form, Part, Rendered, Sources, Templates};
pub use view::{
    Amount, FailedPaymentView, LineView, MerchantView, PaymentView, PeriodView, RefundTotalsView,
    RefundView, RenewalView, TEST_MARKER, TestView, TotalsView, TrialView, View,
};

use domain::receipt::{Receipt, ReceiptKind};
use domain::{
    access::contact::Contact,
    sale::{checkout::Customer, order::Order},
    values::{ids::ReceiptId, mode::Mode},
};
use std::borrow::Cow;

/// A mail, complete. Personal data: sent, never logged.
///
/// Every text that goes into a header is a single line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The merchant's name, beside `from`.
    pub from_name: String,
    /// Whom it is from.
    pub from: Address,
    /// Where answers go.
    pub reply_to: Address,
    /// Who gets it: the customer, or the merchant's test recipient.
    pub to: Address,
    /// The customer's name, beside `to`.
    pub to_name: Option<String>,
    /// One line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// Of which receipt: SES's feedback is matched by it.
    pub receipt_id: ReceiptId,
    /// What the receipt is for.
    pub kind: ReceiptKind,
}

/// Why no mail can be made. Holds no personal data, so that it may be stored and logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The checkout told no e-mail address.
    #[error("the order has no e-mail address")]
    NoAddress,
    /// What it told is none.
    #[error("the customer's address is {0}")]
    BadAddress(BadAddress),
    /// The provider has deleted the customer: there is nobody to write to any more.
    #[error("the customer has been deleted")]
    Deleted,
    /// The receipt is of another order: sending it would show one customer's purchase to another.
    #[error("the receipt is for another order")]
    OtherOrder,
    /// A template failed on this order though it rendered every sample: the deployment's fault and not the
    /// order's, so worth another try once it is mended.
    #[error(transparent)]
    Template(Fault),
}

/// Composes the mail of a receipt. The same arguments give the same mail.
///
/// `contact` is what is known of the customer now. An order's receipt does without it: it tells of a sale as it was.
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
    let customer = match (&receipt.kind, contact) {
        (ReceiptKind::Order, _) | (_, None) => Cow::Borrowed(&order.customer),
        (_, Some(contact)) => Cow::Owned(contact.over(&order.customer).ok_or(Unsendable::Deleted)?),
    };
    let view = View::new(order, receipt, &customer, merchant);
    let (to, to_name) = match order.mode {
        Mode::Live => (address(&customer)?, view.customer_name.clone()),
        // No real payment, so perhaps no real person: only the merchant may see it.
        Mode::Test => (merchant.test_recipient.clone(), None),
    };
    let rendered = templates.render(Form::of(&receipt.kind), &view);
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
