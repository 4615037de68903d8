//! The notice that a payment of an invoice failed.

use crate::{
    fulfillment::{MailNeed, ParkReason, Stop, known::Case, read_set::ReadSet},
    receipt::{Receipt, ReceiptKind},
    resource::{Resource, invoice::Invoice},
    values::provider::Party,
};

/// The notice of an invoice whose payment failed, while that is so, once its order is known. An invoice has one notice
/// at most, which this notes on it.
///
/// Without an order there is no address. A later event of the invoice then makes the notice.
pub(super) fn notice(case: &Case<'_>, invoice: &mut Invoice) -> Result<Option<Receipt>, Stop> {
    let is_wanted = case.policy.payment_failed_mail && case.provider.receipts == Party::Us;
    let is_due = is_wanted && invoice.notice_id.is_none() && invoice.payment_fails();
    let Some(order_id) = invoice.order_id.get().filter(|_| is_due) else {
        return Ok(None);
    };
    let rows = case.known.rows(&ReadSet::of_order(order_id))?;
    let order = rows.order.as_ref();
    let Some(order) = order.filter(|order| order.order_id == *order_id && !order.is_erased) else {
        return Ok(None);
    };
    let is_in_its_currency = invoice.currency.get() == Some(&order.currency);
    let kind = ReceiptKind::InvoicePaymentFailed {
        invoice_id: invoice.id.clone(),
        number: invoice.number.get().cloned(),
        amount: invoice
            .outstanding
            .get()
            .copied()
            .filter(|_| is_in_its_currency),
    };
    let notice = Receipt::new(order_id, kind, None, case.now).map_err(ParkReason::from)?;
    let id = notice.receipt_id.clone();
    // The subscription of the invoice may have made the notice, or the row of the invoice was restored.
    let rows = case.known.rows(&ReadSet::of_receipts(vec![id.clone()]))?;
    let is_new = !rows.receipts.contains_key(&id);
    invoice.notice_id = Some(id);
    Ok(is_new.then_some(notice))
}

/// Decides about the notice of an invoice when it is sent. It was committed with the invoice's row, so without a row a
/// table was restored, and the state of the payment is unknown.
#[must_use]
pub fn invoice_mail(invoice: Option<&Resource>) -> MailNeed {
    match invoice {
        Some(Resource::Invoice(invoice)) if invoice.payment_fails() => MailNeed::Due,
        _ => MailNeed::NotNeeded,
    }
}

#[cfg(test)]
mod tests;
