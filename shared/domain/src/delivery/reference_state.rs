//! The state that an event gives to a listed thing.

use crate::access::subscription::InvoiceEvent;
use crate::access::subscription::SubscriptionFacts;
use crate::delivery::event::Change;
use crate::sale::payment::PaymentStatus;
use crate::values::fingerprint::fingerprint;
use crate::values::ids::ReferenceState;
/// The state that an event gives to a listed thing, in one word. `None` for things whose lists reconcile does not read:
/// Flex also lists customers.
pub(crate) fn state_of(change: &Change) -> Option<String> {
    match change {
        Change::Sale {
            completed: true, ..
        }
        | Change::SalePaid { .. } => Some("complete".to_owned()),
        Change::Refund(change) => Some(change.facts.word.clone()),
        Change::Dispute(change) => Some(change.facts.word.clone()),
        Change::Payment(change) => {
            let facts = change.facts.as_ref()?;
            (facts.status == PaymentStatus::Received).then(|| facts.word.clone())
        }
        Change::Invoice(change) => (change.event == InvoiceEvent::Paid).then(|| "paid".to_owned()),
        Change::Subscription(change) => {
            let SubscriptionFacts {
                cancel_at_period_end,
                period_end,
                trial_end,
                items,
                ..
            } = &change.snapshot.value;
            let matters = format!("{:?}", (cancel_at_period_end, period_end, trial_end, items));
            let print = fingerprint(matters.as_bytes());
            Some(format!(
                "{}-{}",
                change.snapshot.status,
                print.get(..8).unwrap_or_default()
            ))
        }
        Change::Sale { .. }
        | Change::Fetch(_)
        | Change::Exception { .. }
        | Change::Fulfillment(_)
        | Change::Resource(_)
        | Change::Customer(_)
        | Change::NotUnderstood(_)
        | Change::NotNeeded
        | Change::Unhandled => None,
    }
}

/// The thing and the state that an event states. Reconcile uses it to find the webhook of a listed thing among the
/// waiting events. The state is part of it: an event about a pending refund does not cover the refund's success.
#[must_use]
pub fn reference_state(change: &Change) -> Option<ReferenceState> {
    let (resource, id) = match change {
        Change::Sale { order_id, .. } | Change::SalePaid { order_id } => {
            ("sale", order_id.as_str())
        }
        Change::Dispute(change) => ("dispute", change.dispute_id.as_str()),
        Change::Payment(change) => ("payment_intent", change.payment_intent_id.as_str()),
        Change::Refund(change) => ("refund", change.refund_id.as_str()),
        Change::Invoice(change) => ("invoice", change.invoice_id.as_str()),
        Change::Subscription(change) => ("subscription", change.subscription_id.as_str()),
        _ => return None,
    };
    ReferenceState::new(format!("{resource}:{id}:{}", state_of(change)?)).ok()
}

/// An event with such a subject announces money for a sale or for a period of a subscription.
#[must_use]
pub fn is_sale(subject: &ReferenceState) -> bool {
    ["sale:", "invoice:"]
        .iter()
        .any(|resource| subject.as_str().starts_with(resource))
}
