//! Notices: a trial ends, a renewal could not be charged.

use crate::{
    access::subscription::{Invoice, Standing, Subscription, SubscriptionStatus},
    fulfillment::{ParkReason, known::Case},
    receipt::{Receipt, ReceiptKind, ReceiptState},
    sale::refund::Refund,
    values::{
        facts::{Fact, whole_second},
        ids::InvoiceId,
        provider::Party,
    },
};
use jiff::{SignedDuration, Timestamp};

/// The time between the notice and the end of the trial.
const TRIAL_NOTICE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The notice that a trial ends, once it is known when and which order it belongs to.
pub(super) fn notice_of_trial(
    case: &Case<'_>,
    subscription: &mut Subscription,
) -> Result<Option<Receipt>, ParkReason> {
    let ends_at = trial_ends_at(subscription).filter(|ends_at| *ends_at > case.now);
    let (true, Some(ends_at), Some(beginning)) = (
        case.policy.trial_ends_mail && case.provider.receipts == Party::Us,
        ends_at,
        &subscription.beginning,
    ) else {
        return Ok(None);
    };
    let kind = ReceiptKind::TrialEnds {
        subscription_id: subscription.subscription_id.clone(),
        ends_at,
    };
    let receipt = Receipt::new(
        &beginning.order_id,
        kind,
        Some(notice_due_at(ends_at, case.now)),
        case.now,
    )?;
    // One notice for each end: a trial that is extended has another, and the first one is withdrawn on its day.
    if subscription.trial_notice_id.as_ref() == Some(&receipt.receipt_id) {
        return Ok(None);
    }
    subscription.trial_notice_id = Some(receipt.receipt_id.clone());
    Ok(Some(receipt))
}

/// The time to send the notice of a trial that ends at `ends_at`.
fn notice_due_at(ends_at: Timestamp, now: Timestamp) -> Timestamp {
    ends_at.saturating_sub(TRIAL_NOTICE).unwrap_or(now).max(now)
}

/// When the trial ends that a subscription is in and that turns into a payment.
fn trial_ends_at(subscription: &Subscription) -> Option<Timestamp> {
    let Fact { value: facts, .. } = subscription.snapshot.as_ref()?;
    let runs = facts.status == SubscriptionStatus::Trialing
        && !facts.cancel_at_period_end
        && subscription.ended_at.is_none();
    // The notice keeps it in whole seconds.
    facts.trial_end.filter(|_| runs).map(whole_second)
}

/// The notices that renewals could not be charged, while that is so: of each invoice that has none, once the order is
/// known. Whatever comes first, the failure or the order, the other one brings the notice.
pub(super) fn notices_of_failure(
    case: &Case<'_>,
    subscription: &mut Subscription,
) -> Result<Vec<Receipt>, ParkReason> {
    let beginning = subscription.beginning.as_ref();
    let Some(order_id) = beginning.map(|beginning| beginning.order_id.clone()) else {
        return Ok(Vec::new());
    };
    if !case.policy.payment_failed_mail || case.provider.receipts == Party::Provider {
        return Ok(Vec::new());
    }
    let is_unfinished = |(id, invoice): &(&InvoiceId, &Invoice)| {
        let fails =
            invoice.failed_at.is_some() && invoice.paid_at.is_none() && invoice.notice_id.is_none();
        // The first payment is made in the sale, where the shopper sees how it goes.
        fails && subscription.standing(id) == Standing::Renewal
    };
    let unsent = subscription.invoices.iter().filter(is_unfinished);
    let unsent: Vec<(InvoiceId, Option<i64>)> = unsent
        .map(|(id, invoice)| (id.clone(), invoice.bill.value.amount_due))
        .collect();
    let mut notices = Vec::new();
    for (invoice_id, amount) in unsent {
        let kind = ReceiptKind::PaymentFailed {
            subscription_id: subscription.subscription_id.clone(),
            invoice_id: invoice_id.clone(),
            amount,
        };
        let notice = Receipt::new(&order_id, kind, None, case.now)?;
        if let Some(invoice) = subscription.invoices.get_mut(&invoice_id) {
            invoice.notice_id = Some(notice.receipt_id.clone());
        }
        notices.push(notice);
    }
    Ok(notices)
}

/// True if the statement of a notice about a subscription still holds. All other kinds hold.
#[must_use]
pub fn still_so(kind: &ReceiptKind, subscription: Option<&Subscription>) -> bool {
    match (kind, subscription) {
        (
            ReceiptKind::Order
            | ReceiptKind::Refund { .. }
            | ReceiptKind::RefundFailed { .. }
            | ReceiptKind::InvoicePaymentFailed { .. }
            | ReceiptKind::Shipment { .. },
            _,
        ) => true,
        (ReceiptKind::PaymentFailed { .. } | ReceiptKind::TrialEnds { .. }, None) => false,
        (ReceiptKind::PaymentFailed { invoice_id, .. }, Some(subscription)) => {
            let invoice = subscription.invoices.get(invoice_id);
            subscription.ended_at.is_none()
                && invoice.is_some_and(|invoice| invoice.paid_at.is_none())
        }
        (ReceiptKind::TrialEnds { ends_at, .. }, Some(subscription)) => {
            trial_ends_at(subscription) == Some(*ends_at)
        }
    }
}

/// The need for a mail, as the facts are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailNeed {
    /// It is true and the customer needs it.
    Due,
    /// The receipt that it corrects has to be sent or given up first.
    Wait,
    /// It is no longer true, or corrects a mail that the customer never got.
    NotNeeded,
}

/// Decides about the receipt of a refund, or about its correction. `receipt` is the state of the refund's receipt. Without
/// a refund or a receipt, a table was restored: then the mail is due.
#[must_use]
pub fn refund_mail(
    kind: &ReceiptKind,
    refund: Option<&Refund>,
    receipt: Option<&ReceiptState>,
) -> MailNeed {
    let failed = refund.map(Refund::failed_after_all);
    match (kind, failed, receipt) {
        (ReceiptKind::Refund { .. }, Some(true), _)
        | (ReceiptKind::RefundFailed { .. }, Some(false), _)
        | (
            ReceiptKind::RefundFailed { .. },
            _,
            Some(ReceiptState::Withdrawn { .. } | ReceiptState::Failed { .. }),
        ) => MailNeed::NotNeeded,
        (
            ReceiptKind::RefundFailed { .. },
            _,
            Some(ReceiptState::Unsent { .. } | ReceiptState::Leased { .. }),
        ) => MailNeed::Wait,
        _ => MailNeed::Due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fulfillment::testing::{SALE, at, id, refund_facts};

    #[test]
    fn a_failed_refund_is_corrected_if_the_customer_was_or_may_have_been_told_and_else_never_told()
    {
        let facts = |status: &str| refund_facts("fpi_1", status, 100).fact(at(SALE));
        let stands = Refund::new(facts("succeeded"));
        let mut failed = stands.clone();
        failed.merge(facts("failed"));
        let (amount, refunded_at) = (100, at(SALE));
        let receipt = ReceiptKind::Refund {
            refund_id: id("fre_1"),
            amount,
            refunded_at,
        };
        let correction = ReceiptKind::RefundFailed {
            refund_id: id("fre_1"),
            amount,
            refunded_at,
        };
        let unsent = ReceiptState::Unsent { reason: None };
        let withdrawn = ReceiptState::Withdrawn {
            reason: String::new(),
        };
        for (kind, refund, told, expected) in [
            (&receipt, &stands, None, MailNeed::Due),
            (&receipt, &failed, None, MailNeed::NotNeeded),
            (&correction, &failed, Some(&unsent), MailNeed::Wait),
            (&correction, &failed, Some(&withdrawn), MailNeed::NotNeeded),
            (
                &correction,
                &failed,
                Some(&ReceiptState::Held),
                MailNeed::Due,
            ),
            (
                &correction,
                &stands,
                Some(&ReceiptState::Held),
                MailNeed::NotNeeded,
            ),
            (&correction, &failed, None, MailNeed::Due),
        ] {
            assert_eq!(
                refund_mail(kind, Some(refund), told),
                expected,
                "{kind:?}, {told:?}"
            );
        }
        assert_eq!(refund_mail(&correction, None, None), MailNeed::Due);
    }
}
