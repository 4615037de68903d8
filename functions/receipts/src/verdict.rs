//! The verdict on a receipt: send this mail, fail the receipt, or withdraw it.

use crate::{ReceiptStore, Receipts};
use domain::{
    access::contact::Contact,
    fulfillment::{MailNeed, invoice_mail, refund_mail, shipment_mail, still_so},
    receipt::{Receipt, ReceiptKind, feedback::AddressHash},
    resource::ResourceId,
    sale::order::Order,
    values::{ids::RefundId, outcome::RetryableError},
};
use mail::{Email, Mailer, Unsendable, compose, shows_sale};
/// The action under the lease.
pub(crate) enum Verdict {
    Send(Box<Email>),
    /// The receipt cannot be sent, with the reason.
    Fail(String),
    /// The notice is outdated, with the reason.
    Withdraw(String),
    /// Another receipt comes first.
    Wait,
}

impl<S: ReceiptStore, M: Mailer> Receipts<S, M> {
    /// Decides by the order and the customer's rows as they are now. `again`: an earlier mail may have gone out.
    pub(crate) async fn judge(
        &self,
        receipt: &Receipt,
        order: &Order,
        again: bool,
    ) -> Result<Verdict, RetryableError> {
        if order.is_erased {
            let reason = "the customer's data is erased".to_owned();
            return Ok(Verdict::Withdraw(reason));
        }
        let need = self.needed(receipt, order).await?;
        if need == MailNeed::Wait {
            return Ok(Verdict::Wait);
        }
        if need == MailNeed::NotNeeded {
            let more = if again {
                ", and a mail may have gone out before"
            } else {
                ""
            };
            return Ok(Verdict::Withdraw(format!("the notice is outdated{more}")));
        }
        let contact = self.contact(receipt, order).await?;
        let (merchant, templates) = (&self.merchant, &self.templates);
        match compose(order, receipt, contact.as_ref(), merchant, templates) {
            Ok(email) => self.unless_suppressed(email).await,
            Err(Unsendable::Template(fault)) => Err(RetryableError::Fault(fault.to_string())),
            Err(unsendable) => Ok(Verdict::Fail(unsendable.to_string())),
        }
    }

    /// Sends the mail unless its address is suppressed. This counts for the merchant's test address too: a trial shows
    /// the mails that customers get, and SES counts every bounce.
    async fn unless_suppressed(&self, email: Email) -> Result<Verdict, RetryableError> {
        let address = AddressHash::of(email.to.as_str());
        let suppression = self.store.suppression(&address).await?;
        Ok(match suppression.and_then(|found| found.reason()) {
            None => Verdict::Send(Box::new(email)),
            Some(reason) => Verdict::Fail(reason.to_owned()),
        })
    }

    /// The need for a mail now. A notice that is no longer true, or too late, is not needed.
    async fn needed(&self, receipt: &Receipt, order: &Order) -> Result<MailNeed, RetryableError> {
        let subscription_id = match &receipt.kind {
            ReceiptKind::Order => return Ok(MailNeed::Due),
            ReceiptKind::Refund { refund_id, .. } | ReceiptKind::RefundFailed { refund_id, .. } => {
                return self.needed_for_refund(receipt, order, refund_id).await;
            }
            ReceiptKind::InvoicePaymentFailed { invoice_id, .. } => {
                let id = ResourceId::Invoice(invoice_id.clone());
                let invoice = self.store.resource(&id).await?;
                return Ok(invoice_mail(invoice.as_ref()));
            }
            ReceiptKind::Shipment { fulfillment_id } => {
                return Ok(shipment_mail(order.fulfillments.get(fulfillment_id)));
            }
            ReceiptKind::PaymentFailed {
                subscription_id, ..
            }
            | ReceiptKind::TrialEnds {
                subscription_id, ..
            } => subscription_id,
        };
        if receipt.kind.is_too_late(self.clock.now()) {
            return Ok(MailNeed::NotNeeded);
        }
        let subscription = match &order.customer.customer_id {
            Some(customer_id) => {
                self.store
                    .subscription(customer_id, subscription_id)
                    .await?
            }
            None => None,
        };
        Ok(if still_so(&receipt.kind, subscription.as_ref()) {
            MailNeed::Due
        } else {
            MailNeed::NotNeeded
        })
    }

    /// The need for the receipt of a refund, or for its correction, which waits for the receipt that it corrects.
    async fn needed_for_refund(
        &self,
        receipt: &Receipt,
        order: &Order,
        refund_id: &RefundId,
    ) -> Result<MailNeed, RetryableError> {
        let refund = order.refunds.get(refund_id);
        let told = refund.and_then(|refund| refund.receipt_id.as_ref());
        let told = match told.filter(|id| **id != receipt.receipt_id) {
            Some(id) => self.store.receipt(id).await?,
            None => None,
        };
        let told = told.as_ref().map(|told| &told.state);
        Ok(refund_mail(&receipt.kind, refund, told))
    }

    /// The customer's current address. The receipt of a sale shows it as it was and does not need it.
    async fn contact(
        &self,
        receipt: &Receipt,
        order: &Order,
    ) -> Result<Option<Contact>, RetryableError> {
        match &order.customer.customer_id {
            Some(customer_id) if !shows_sale(order, receipt) => {
                self.store.contact(customer_id).await
            }
            _ => Ok(None),
        }
    }
}
