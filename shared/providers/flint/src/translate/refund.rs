//! A refund.

use super::{money::Amounts, stated};
use crate::wire;
use domain::{
    delivery::{
        answer::{Refunds, UnclearRefund},
        event::Unreadable,
    },
    sale::refund::{RefundChange, RefundFacts, RefundStatus},
    values::{
        facts::Stated,
        ids::{InvoiceId, OrderId, PaymentIntentId, RefundId},
        mode::Mode,
    },
};
use reading::{Identified, Kind, NotUnderstood, known_word, named, needed_text, own_id};

/// In the order of a refund's life.
const STATUS: [(&str, RefundStatus); 6] = [
    ("pending", RefundStatus::Pending),
    ("requires_action", RefundStatus::Pending),
    // The bank may still return it.
    ("in_transit", RefundStatus::Pending),
    ("succeeded", RefundStatus::Succeeded),
    // Perhaps after a success.
    ("failed", RefundStatus::Failed),
    ("canceled", RefundStatus::Canceled),
];

/// The place where the payment of a refund is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Payment(PaymentIntentId),
    /// The refund names only its order.
    Order(OrderId),
    /// The refund names only its invoice.
    Invoice(InvoiceId),
}

pub(crate) fn source(refund: &wire::Refund) -> Result<Source, NotUnderstood> {
    let place = "payment_intent_id";
    let payment = named([refund.payment_intent_id.id()], PaymentIntentId::new, place)?;
    let order = named([refund.order_id.id()], OrderId::new, "order_id")?;
    let invoice = named([refund.invoice_id.id()], InvoiceId::new, "invoice_id")?;
    let source = payment.map(Source::Payment).or(order.map(Source::Order));
    let source = source.or(invoice.map(Source::Invoice));
    source.ok_or(NotUnderstood::Missing(place))
}

/// Translates a refund of this payment.
pub(crate) fn refund(
    refund: &wire::Refund,
    payment_intent_id: PaymentIntentId,
    mode: Mode,
) -> Result<RefundChange, NotUnderstood> {
    let text = needed_text(&refund.status, "status")?;
    if text == "partially_succeeded" {
        // Nothing states the part, so a person decides.
        return Err(NotUnderstood::Malformed("status", Kind::Text));
    }
    let status = known_word(&STATUS, text, RefundStatus::Unknown);
    let (amounts, amount) = Amounts::of(&refund.amount_money, "amount_money")?;
    Ok(RefundChange {
        refund_id: own_id(refund.refund_id.id(), RefundId::new, "refund_id")?,
        mode: Some(mode),
        facts: Stated {
            at: stated(&refund.updated_at, "updated_at")?,
            version: 0,
            rank: status.rank,
            value: RefundFacts {
                status: status.known,
                word: status.word,
                amount,
                currency: amounts.currency,
                payment_intent_id,
                goods: Vec::new(),
                goods_unclear: false,
                // The order has no invoice's id at Flint, so nothing finds it by one.
                invoice_id: None,
                made_at: stated(&refund.created_at, "created_at")?,
            },
        },
        subscription_id: None,
    })
}

/// The refunds of an order, each as read; an error is the id of one that is not understood.
pub(crate) fn list(read: Vec<Result<RefundChange, RefundId>>) -> Refunds {
    let mut all = Refunds::default();
    for refund in read {
        match refund {
            Ok(refund) => all.understood.push(refund),
            Err(refund_id) => {
                all.unclear.get_or_insert(UnclearRefund {
                    refund_id: Some(refund_id),
                    why: Unreadable::Malformed("refund", Kind::Object.as_str()),
                });
            }
        }
    }
    all
}
